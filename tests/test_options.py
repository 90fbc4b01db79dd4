"""What a subscription's deliveries carry besides the standard headers and signatures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_webhooks import LegacySignature, RefusedHeaderError, SecretError
from flask_webhooks.rules.options import Options, Retired
from flask_webhooks.rules.sealing import KeyRing

RING = KeyRing(["k" * 32])


def test_the_github_signature_is_that_of_githubs_documentation() -> None:
    """The vector that GitHub publishes for X-Hub-Signature-256 comes out."""
    known = LegacySignature(scheme="github", secret="It's a Secret to Everybody")
    assert known.sign(0, b"Hello, World!") == (
        "X-Hub-Signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )


def test_the_stripe_signature_covers_the_timestamp() -> None:
    """``t=`` and the HMAC of ``{t}.{body}``, as computed by OpenSSL."""
    known = LegacySignature(scheme="stripe", secret="whsec_test_secret", header="X-Acme-Signature")
    assert known.sign(1492774577, b'{"id":"evt_1"}') == (
        "X-Acme-Signature",
        "t=1492774577,v1=799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f",
    )


def test_options_come_back_out_of_their_seal() -> None:
    """Headers, legacy signatures and retired secrets are the same after sealing and opening."""
    options = Options.of(
        {"Authorization": "Bearer abc"},
        [LegacySignature(scheme="github", secret="old secret")],
        [Retired(secret="whsec_old", until=12.5)],
    )
    sealed = options.sealed(RING, tenant="t", subscription="sub_1")
    assert sealed is not None and b"abc" not in sealed
    assert Options.opened(sealed, RING, tenant="t", subscription="sub_1") == options
    with pytest.raises(SecretError):
        Options.opened(sealed, RING, tenant="other", subscription="sub_1")


def test_no_options_need_no_seal() -> None:
    """A subscription without options stores nothing for them."""
    assert Options().sealed(RING, tenant=None, subscription="sub_1") is None
    assert Options.opened(None, RING, tenant=None, subscription="sub_1") == Options()


def test_a_retired_secret_signs_until_its_time() -> None:
    """At the very second of its end a retired secret signs no more."""
    options = Options().with_retired("a", until=100, now=10).with_retired("b", until=50, now=20)
    assert options.retired_at(49.9) == ["b", "a"]
    assert options.retired_at(50) == ["a"]
    assert options.retired_at(100) == []


def test_no_secret_is_dropped_before_its_time() -> None:
    """A fifth secret that would sign besides is refused, until one of them has ended."""
    options = Options()
    for until, secret in enumerate("abcd", 100):
        options = options.with_retired(secret, until=until, now=10)
    with pytest.raises(SecretError, match="4 secrets of before still sign"):
        options.with_retired("e", until=200, now=10)
    assert options.with_retired("e", until=10, now=10) == options
    assert options.with_retired("e", until=200, now=100).retired_at(100) == ["e", "d", "c", "b"]


def test_an_overlap_of_nothing_retires_at_once() -> None:
    """A secret that is replaced without an overlap does not sign any more."""
    assert Options().with_retired("a", until=10, now=10) == Options()


@pytest.mark.parametrize(
    "given",
    [
        {"scheme": "gitlab", "secret": "long enough"},
        {"scheme": "github", "secret": "short"},
        {"scheme": "github", "secret": None},
    ],
)
def test_legacy_signatures_that_cannot_work_are_refused(given: Any) -> None:
    """An unknown scheme and a secret of fewer than eight characters are refused."""
    with pytest.raises(SecretError):
        LegacySignature(**given)


def test_a_legacy_signature_takes_no_reserved_name() -> None:
    """A legacy signature can't be put where the standard one is, nor where a header already is."""
    with pytest.raises(RefusedHeaderError):
        LegacySignature(scheme="github", secret="long enough", header="webhook-signature")
    with pytest.raises(RefusedHeaderError):
        Options.of(
            {"X-Sign": "1"}, [LegacySignature(scheme="stripe", secret="12345678", header="x-sign")]
        )


def test_nothing_of_options_shows() -> None:
    """No secret and no header value is in a repr."""
    options = Options.of(
        {"X-Team": "tell-nobody"},
        [LegacySignature(scheme="github", secret="tell-nobody")],
        [Retired(secret="tell-nobody", until=1)],
    )
    assert "tell-nobody" not in repr(options)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 200)), min_size=1, max_size=8),
)
def test_no_second_of_any_rotations_is_without_a_promised_secret(
    rotations: list[tuple[int, int]],
) -> None:
    """However often it is rotated, each secret signs in every second until its own overlap ends."""
    options, now, current = Options(), 0, "s0"
    until: dict[str, float] = {}
    for number, (passed, overlap) in enumerate(rotations, 1):
        now += passed
        try:
            options = options.with_retired(current, until=now + overlap, now=now)
        except SecretError:
            continue  # one too many: nothing has changed
        until[current] = now + overlap
        current = f"s{number}"
        for second in range(now, now + 260):
            promised = {secret for secret, end in until.items() if second < end}
            assert set(options.retired_at(second)) == promised
