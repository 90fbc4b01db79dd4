"""Sealed secrets: they open with their key, for their row, and for nothing else."""

from __future__ import annotations

import hmac
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_webhooks.exceptions import SecretError
from flask_webhooks.rules.sealing import KeyRing
from flask_webhooks.rules.signing_keys import SigningKey

OLD = "the old key of the ring: CanaryOld"
NEW = "the new key of the ring: CanaryNew"
SECRET = "whsec_CanarySecret"
CANARY = "Canary"
SEALED = bytes.fromhex(
    "01ce3e1810000102030405060708090a0b4a25c8e7fc67ef87604c82772ceb71730a3b8a6271fdc0"
)


def seal(ring: KeyRing, tenant: str | None = "t1", subscription: str = "sub_1") -> bytes:
    return ring.seal(SECRET, tenant=tenant, subscription=subscription)


def refusal(ring: KeyRing, sealed: bytes, tenant: str | None = "t1", sub: str = "sub_1") -> str:
    with pytest.raises(SecretError) as caught:
        ring.open(sealed, tenant=tenant, subscription=sub)
    assert CANARY not in all_that_an_error_tells(caught.value)
    return str(caught.value)


def all_that_an_error_tells(error: BaseException) -> str:
    """Its text, its traceback, and every error chained to it, shown or not, with what it holds."""
    told = "".join(traceback.format_exception(error))
    chain: BaseException | None = error
    while chain is not None:
        told += f"{chain} {chain!r} {chain.args} {vars(chain)} {getattr(chain, 'object', '')}"
        chain = chain.__cause__ or chain.__context__
    return told


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 without a salt, written out from RFC 5869."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\x01", "sha256")[:length]


# ---- the format


def test_the_sealed_format_never_changes() -> None:
    """These bytes open in every release, and this secret is sealed to them."""
    ring = KeyRing(["k" * 32])
    assert ring.open(SEALED, tenant=None, subscription="sub_1") == "whsec_x"
    sealed = ring.seal(
        "whsec_x", tenant=None, subscription="sub_1", randbytes=lambda size: bytes(range(size))
    )
    assert sealed == SEALED


def test_the_sealed_format_is_what_it_says() -> None:
    """Version, key id, nonce, AES-256-GCM with a length-prefixed binding: nothing else."""
    key = NEW.encode()
    sealed = seal(KeyRing([NEW]), tenant="tä")
    assert sealed[:1] == b"\x01"
    assert sealed[1:5] == expand(key, b"flask-webhooks sealing key id", 4)
    bound = b"flask-webhooks secret" + sealed[:5]
    bound += b"\x01" + (3).to_bytes(8, "big") + "tä".encode()
    bound += b"\x01" + (5).to_bytes(8, "big") + b"sub_1"
    cipher = AESGCM(expand(key, b"flask-webhooks sealing key", 32))
    assert cipher.decrypt(sealed[5:17], sealed[17:], bound) == SECRET.encode()


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")), st.none() | st.text(), st.text())
def test_what_is_sealed_opens(secret: str, tenant: str | None, subscription: str) -> None:
    """Any text comes back for any tenant and subscription, also when a newer key came first."""
    sealed = KeyRing([OLD]).seal(secret, tenant=tenant, subscription=subscription)
    for ring in (KeyRing([OLD]), KeyRing([NEW, OLD])):
        assert ring.open(sealed, tenant=tenant, subscription=subscription) == secret


def test_the_same_secret_is_sealed_anew_each_time() -> None:
    """Two seals of one secret differ, and neither holds it."""
    ring = KeyRing([NEW])
    assert len({seal(ring) for _ in range(50)}) == 50
    assert SECRET.encode() not in seal(ring)


# ---- bound to its row


@pytest.mark.parametrize(
    ("tenant", "subscription"),
    [
        (None, "sub_1"),
        ("", "sub_1"),
        ("t2", "sub_1"),
        ("T1", "sub_1"),
        ("t1", "sub_2"),
        ("t1", ""),
        ("sub_1", "t1"),
        ("t", "1sub_1"),
        ("t1s", "ub_1"),
        ("t1sub_1", ""),
        ("t1\x00", "sub_1"),
    ],
)
def test_another_row_does_not_open_it(tenant: str | None, subscription: str) -> None:
    """Swapped, moved or shifted between tenant and subscription, it stays shut."""
    ring = KeyRing([NEW])
    assert "another" in refusal(ring, seal(ring), tenant, subscription)


def test_no_tenant_is_not_the_empty_tenant() -> None:
    """What belongs to no tenant doesn't open for the tenant named by empty text, nor back."""
    ring = KeyRing([NEW])
    refusal(ring, seal(ring, tenant=None), "")
    refusal(ring, seal(ring, tenant=""), None)


@settings(deadline=None)
@given(st.tuples(st.none() | st.text("ab\x00\x01"), st.text("ab\x00\x01")), st.data())
def test_two_rows_never_share_a_seal(row: tuple[str | None, str], data: st.DataObject) -> None:
    """However two pairs of tenant and subscription resemble each other, each opens its own."""
    other = data.draw(
        st.tuples(st.none() | st.text("ab\x00\x01"), st.text("ab\x00\x01")).filter(row.__ne__)
    )
    ring = KeyRing([NEW])
    refusal(ring, seal(ring, *row), *other)


def test_two_swapped_rows_both_stay_shut() -> None:
    """Exchanging the sealed secrets of two subscriptions opens neither."""
    ring = KeyRing([NEW])
    first, second = seal(ring, subscription="sub_1"), seal(ring, subscription="sub_2")
    refusal(ring, second, sub="sub_1")
    refusal(ring, first, sub="sub_2")


def test_every_changed_bit_keeps_it_shut() -> None:
    """No bit of the sealed bytes can change, be it of version, key id, nonce, text or tag."""
    ring = KeyRing([NEW, OLD])
    sealed = seal(ring)
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        refusal(ring, bytes(changed))


def test_another_version_is_told() -> None:
    """Bytes of a later format aren't called a forgery: the error says who sealed them."""
    ring = KeyRing([NEW])
    assert "not sealed by this version" in refusal(ring, b"\x02" + seal(ring)[1:])


@pytest.mark.parametrize("other", ["?", "\ud801", "\ufffd", ""])
def test_a_name_that_utf_8_can_not_hold_is_a_name_of_its_own(other: str) -> None:
    """A tenant with a lone surrogate has its own seal, shared with no similar name."""
    ring = KeyRing([NEW])
    sealed = seal(ring, tenant="\ud800")
    assert ring.open(sealed, tenant="\ud800", subscription="sub_1") == SECRET
    refusal(ring, sealed, other)


def test_every_cut_keeps_it_shut() -> None:
    """Sealed bytes that were cut or prolonged anywhere stay shut, down to none at all."""
    ring = KeyRing([NEW])
    sealed = seal(ring)
    for length in range(len(sealed)):
        refusal(ring, sealed[:length])
    refusal(ring, sealed + b"\x00")
    refusal(ring, SECRET.encode() * 4)


def test_a_key_id_that_points_to_another_key_keeps_it_shut() -> None:
    """Rewriting the key id to that of another key in the ring opens nothing."""
    ring = KeyRing([NEW, OLD])
    sealed = seal(ring)
    assert "another" in refusal(ring, sealed[:1] + seal(KeyRing([OLD]))[1:5] + sealed[5:])


# ---- rotation


def test_an_old_key_opens_and_the_newest_seals() -> None:
    """After a new key came first, old seals open and aren't current, and new ones are its own."""
    ring = KeyRing([NEW, OLD])
    sealed = seal(KeyRing([OLD]))
    assert ring.open(sealed, tenant="t1", subscription="sub_1") == SECRET
    assert not ring.is_current(sealed)
    renewed = ring.seal(SECRET, tenant="t1", subscription="sub_1")
    assert ring.is_current(renewed)
    assert KeyRing([NEW]).open(renewed, tenant="t1", subscription="sub_1") == SECRET


@pytest.mark.parametrize("sealed", [b"", b"\x01", SECRET.encode(), b"\x02" + SEALED[1:]])
def test_nonsense_is_not_current(sealed: bytes) -> None:
    """What this version didn't seal isn't current, and asking is no error."""
    assert not KeyRing(["k" * 32]).is_current(sealed)


def test_a_missing_key_is_named() -> None:
    """The error names the setting, the key that is missing, and the keys that are there."""
    old, new = KeyRing([OLD]), KeyRing([NEW])
    told = refusal(new, seal(old))
    assert "WEBHOOKS_SECRET_KEYS" in told
    assert seal(old)[1:5].hex() in told
    assert seal(new)[1:5].hex() in told
    assert "sub_1" in told


def test_what_is_sealed_for_one_purpose_opens_for_no_other() -> None:
    """A sealed secret does not open as a subscription's options, so columns can't be swapped."""
    ring = KeyRing([NEW])
    with pytest.raises(SecretError):
        ring.open(seal(ring), tenant="t1", subscription="sub_1", purpose="options")


def test_each_ring_key_has_its_signing_key() -> None:
    """The ed25519 keys are those derived from the ring's keys, newest first, made once."""
    ring = KeyRing([NEW, OLD.encode()])
    derived = [SigningKey.derive(NEW.encode()), SigningKey.derive(OLD.encode())]
    assert list(ring.signing_keys) == derived
    assert ring.signing_keys is ring.signing_keys


def test_text_and_bytes_are_the_same_key() -> None:
    """A key written as text opens what was sealed with its UTF-8 bytes."""
    sealed = seal(KeyRing([NEW.encode()]))
    assert KeyRing([NEW]).open(sealed, tenant="t1", subscription="sub_1") == SECRET


# ---- the ring's own rules

LONG = CANARY * 6

WRONG_RINGS = {
    "no keys": ([], "empty"),
    "none": (None, "NoneType"),
    "one text": (LONG, "list"),
    "one bytes": (LONG.encode(), "list"),
    "a set": ({LONG}, "list"),
    "empty key": ([""], "Key 1 .* 0 characters"),
    "31 characters": ([LONG[:32], LONG[:31]], "Key 2 .* 31 characters"),
    "31 bytes": ([LONG.encode()[:31]], "Key 1 .* 31 bytes"),
    "twice": ([LONG, "x" * 32, LONG], "Keys 1 and 3"),
    "twice, as bytes": ([LONG, LONG.encode()], "Keys 1 and 2"),
    "a number": ([LONG, 10**40], "Key 2 .* int"),
    "no key": ([None], "Key 1 .* NoneType"),
    "surrogate": ([LONG + "\udcff"], "Key 1 .* surrogate"),
}


@pytest.mark.parametrize(("keys", "rule"), WRONG_RINGS.values(), ids=WRONG_RINGS)
def test_a_wrong_ring_is_refused_by_rule_and_unseen(keys: Any, rule: str) -> None:
    """The error names the setting, the place and the rule; no key is in it or chained to it."""
    with pytest.raises(SecretError, match=rule) as caught:
        KeyRing(keys)
    assert "WEBHOOKS_SECRET_KEYS" in str(caught.value)
    assert CANARY not in all_that_an_error_tells(caught.value)


def test_32_characters_are_enough() -> None:
    """A key of exactly 32 characters or bytes is accepted."""
    KeyRing([LONG[:32], b"x" * 32])


def test_a_secret_that_utf_8_can_not_hold_is_refused_unseen() -> None:
    """A lone surrogate is an error that names the subscription, not the secret."""
    with pytest.raises(SecretError, match="sub_1") as caught:
        KeyRing([NEW]).seal(SECRET + "\ud800", tenant=None, subscription="sub_1")
    assert CANARY not in all_that_an_error_tells(caught.value)


def test_a_ring_shows_no_key() -> None:
    """repr, str, format and what its slots hold show key ids, never keys."""
    ring = KeyRing([NEW, OLD])
    held = [getattr(ring, name) for name in KeyRing.__slots__]
    shown = f"{ring} {ring!r} {ring!s} {[ring]} {held}"
    assert CANARY not in shown
    assert NEW.encode().hex() not in shown
    assert seal(ring)[1:5].hex() in repr(ring)
    assert not hasattr(ring, "__dict__")


def test_a_tenants_secret_is_derived_and_its_own() -> None:
    """Each key of the ring gives each tenant one secret, always the same."""
    ring, newer = KeyRing([OLD]), KeyRing([NEW, OLD])

    assert ring.tenant_secrets("acme") == ("whsec_XRwvMy55KITnwmtun3567duzbioe9deruqzrmIVf5O8=",)
    assert newer.tenant_secrets("acme")[1:] == ring.tenant_secrets("acme")
    assert ring.tenant_secrets("bolt") != ring.tenant_secrets("acme")
