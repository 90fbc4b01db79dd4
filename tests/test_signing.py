"""Signatures: published vectors, other people's libraries, and everything that must be refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import time
import traceback
from collections import UserDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from flask_webhooks.exceptions import SecretError, VerificationError, WebhooksError
from flask_webhooks.rules import signing
from flask_webhooks.rules.key_texts import check_secret, new_secret
from flask_webhooks.rules.signing import sign, verify
from flask_webhooks.rules.signing_keys import SigningKey

# Published in the test suites of the Standard Webhooks libraries, v1a in those of Svix's server.
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = 1614265330
BODY = b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
WHSK = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
WHPK = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

CANARY = "CanaryThatNobodyMaySee"


def received(**changed: str) -> dict[str, str]:
    """The headers of the published v1 vector, some of them changed."""
    own = {"id": ID, "timestamp": str(TIME), "signature": V1} | changed
    return {f"webhook-{name}": value for name, value in own.items()}


def check(
    headers: Any = None, body: Any = BODY, secret: Any = SECRET, now: float = TIME, **more: Any
) -> Any:
    headers = received() if headers is None else headers
    return verify(body, headers, secret, now=lambda: now, **more)


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(VerificationError) as caught:
        check(*args, **kwargs)
    assert type(caught.value) is VerificationError
    return str(caught.value)


def all_that_an_error_tells(error: BaseException) -> str:
    """Its text, its traceback, and every error chained to it, shown or not, with what it holds."""
    told = "".join(traceback.format_exception(error))
    chain: BaseException | None = error
    while chain is not None:
        told += f"{chain} {chain!r} {chain.args} {vars(chain)} {getattr(chain, 'object', '')}"
        told += getattr(chain, "doc", "")
        chain = chain.__cause__ or chain.__context__
    return told


def random_text(rng: random.Random, most: int) -> str:
    alphabet = 'abc "\\\n\r\t.,\x00\x7fäß→日本語🚂\u2028'
    return "".join(rng.choices(alphabet, k=rng.randrange(most)))


# ---- vectors


def test_the_published_v1_vector() -> None:
    """The v1 signature of the published message is the published one."""
    assert sign(ID, TIME, BODY, secrets=[SECRET]) == V1
    assert check() == {"test": 2432232314}


def test_the_published_v1a_vector() -> None:
    """The v1a signature and the public key of the published private key are the published ones."""
    key = SigningKey.from_whsk(WHSK)
    assert key.public == WHPK
    assert sign(ID, TIME, BODY, signing_keys=[key]) == V1A
    assert check(received(signature=V1A), secret=WHPK) == {"test": 2432232314}


def test_a_seed_alone_is_the_same_signing_key() -> None:
    """A whsk_ text without its public half gives the same key."""
    seed = base64.b64encode(base64.b64decode(WHSK.removeprefix("whsk_"))[:32]).decode()
    assert SigningKey.from_whsk("whsk_" + seed) == SigningKey.from_whsk(WHSK)


def rfc_8032_key() -> SigningKey:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    return SigningKey.from_whsk("whsk_" + base64.b64encode(seed).decode())


def test_rfc_8032_test_1() -> None:
    """The empty text is signed as in RFC 8032 section 7.1."""
    expected = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert rfc_8032_key().sign(b"") == "v1a," + base64.b64encode(expected).decode()


def test_the_jwk_is_that_of_rfc_8037() -> None:
    """x is as in RFC 8037 appendix A.2, and kid begins the thumbprint of appendix A.3."""
    assert rfc_8032_key().jwk() == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"[:16],
        "use": "sig",
        "alg": "EdDSA",
    }


def test_the_derived_key_never_changes() -> None:
    """A ring key gives this public key, this id and this signature in every release."""
    key = SigningKey.derive(b"k" * 32)
    assert key.public == "whpk_hemKcLElTvBmSlYJ/lwIKGPepkNML6TgFr4QY/oAhus="
    assert key.key_id == "XpZC2SuVkaC2HZzU"
    assert sign(ID, TIME, BODY, signing_keys=[key]) == (
        "v1a,EK2AQqZPK101M4pRXHlk3EyEl0PXkgae+79j/6P9vSUp"
        "eejaRAn0v0kgP8CNwUHO+guvDkD/3HOSjjhCqC9dCA=="
    )


@pytest.mark.parametrize("ring_key", [b"k" * 32, bytes(range(100))])
def test_the_derivation_is_hkdf_sha256(ring_key: bytes) -> None:
    """HKDF written out from RFC 5869 gives the same seed."""
    extracted = hmac.digest(bytes(32), ring_key, "sha256")
    seed = hmac.digest(extracted, b"flask-webhooks ed25519 signing key\x01", "sha256")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    derived = SigningKey.derive(ring_key)
    assert derived.public == "whpk_" + base64.b64encode(public).decode()


# ---- signing


def test_signatures_stand_in_order() -> None:
    """v1 signatures come first, each kind in the order given, one space between."""
    secrets = [new_secret(), new_secret()]
    keys = [SigningKey.derive(b"1" * 32), SigningKey.derive(b"2" * 32)]
    alone = [sign(ID, TIME, BODY, secrets=[one]) for one in secrets]
    alone += [sign(ID, TIME, BODY, signing_keys=[one]) for one in keys]
    assert sign(ID, TIME, BODY, secrets=secrets, signing_keys=keys) == " ".join(alone)


def test_the_headers_of_an_attempt() -> None:
    """An attempt has the three headers of the standard, in this order, all of them text."""
    assert signing.headers(ID, TIME, BODY, secrets=[SECRET]) == (
        ("webhook-id", ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", V1),
    )


def test_nothing_to_sign_with_is_an_error() -> None:
    """A message is never sent unsigned."""
    with pytest.raises(SecretError, match=ID):
        sign(ID, TIME, BODY)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nx: y", "ä", "a\x7f"])
def test_an_ambiguous_message_id_is_not_signed(message_id: str) -> None:
    """An id that is empty, holds a dot or doesn't fit a header is an error."""
    with pytest.raises(WebhooksError, match="message id"):
        sign(message_id, TIME, BODY, secrets=[SECRET])


@pytest.mark.parametrize(
    ("timestamp", "body"), [(TIME + 0.5, BODY), (str(TIME), BODY), (TIME, BODY.decode())]
)
def test_wrong_types_are_never_signed(timestamp: Any, body: Any) -> None:
    """A fractional time, or a text for the time or the body, is an error, not another message."""
    with pytest.raises((TypeError, ValueError)):
        sign(ID, timestamp, body, secrets=[SECRET])


# ---- secrets


def test_a_new_secret_is_32_random_bytes() -> None:
    """A secret is whsec_ and the base64 of 32 bytes from the source given; two are never alike."""
    assert new_secret(lambda size: b"r" * size) == "whsec_" + base64.b64encode(b"r" * 32).decode()
    assert check_secret(new_secret(lambda size: b"r" * size)) == b"r" * 32
    assert len({new_secret() for _ in range(100)}) == 100


@pytest.mark.parametrize("size", [24, 25, 26, 32, 64])
def test_a_secret_of_24_to_64_bytes_passes(size: int) -> None:
    """Both ends of the range are in it."""
    assert check_secret("whsec_" + base64.b64encode(b"s" * size).decode()) == b"s" * size


def whsec(size: int) -> str:
    return "whsec_" + base64.b64encode((CANARY * 5).encode()[:size]).decode()


WRONG_SECRETS = {
    "no prefix": (CANARY * 2, "begin with whsec_"),
    "prefix in capitals": (whsec(32).replace("whsec", "WHSEC"), "begin with whsec_"),
    "signing key": (WHSK, "begin with whsec_"),
    "empty": ("", "begin with whsec_"),
    "space before": (" " + whsec(32), "begin with whsec_"),
    "prefix alone": ("whsec_", "0 bytes"),
    "one byte": ("whsec_YQ==", "1 bytes"),
    "23 bytes": (whsec(23), "23 bytes"),
    "65 bytes": (whsec(65), "65 bytes"),
    "no padding": (whsec(32).rstrip("="), "base64"),
    "too much padding": (whsec(32) + "=", "base64"),
    "line end": (whsec(32) + "\n", "base64"),
    "space": (whsec(32)[:20] + " " + whsec(32)[20:], "base64"),
    "URL alphabet": ("whsec_" + CANARY + "--__" * 4, "base64"),
    "spare bits": ("whsec_" + "A" * 42 + "B=", "base64"),
    "not ASCII": ("whsec_" + CANARY + "ä" * 20, "base64"),
    "surrogate": ("whsec_" + CANARY + "\udcff" * 20, "base64"),
    "bytes": (whsec(32).encode(), "bytes"),
    "None": (None, "NoneType"),
}


@pytest.mark.parametrize(("secret", "rule"), WRONG_SECRETS.values(), ids=WRONG_SECRETS)
def test_a_wrong_secret_is_refused_by_rule_and_unseen(secret: Any, rule: str) -> None:
    """The error names the broken rule; neither it nor what is chained to it shows the secret."""
    with pytest.raises(SecretError, match=rule) as caught:
        check_secret(secret)
    told = all_that_an_error_tells(caught.value)
    assert CANARY not in told
    assert not secret or len(secret) < 10 or str(secret) not in told


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (CANARY * 3, "begin with whsk_"),
        ("whsk_" + CANARY + "!", "base64"),
        ("whsk_" + base64.b64encode(CANARY.encode()).decode(), "22 bytes"),
        ("whsk_" + base64.b64encode(b"c" * 64).decode(), "belong together"),
        (None, "NoneType"),
    ],
)
def test_a_wrong_signing_key_is_refused_by_rule_and_unseen(text: Any, rule: str) -> None:
    """A whsk_ text of another form, length, or with a stranger's public half is an error."""
    with pytest.raises(SecretError, match=rule) as caught:
        SigningKey.from_whsk(text)
    assert CANARY not in all_that_an_error_tells(caught.value)
    assert not text or text[5:] not in all_that_an_error_tells(caught.value)


def test_a_signing_key_shows_only_its_public_half() -> None:
    """repr, str and format hold the public key and no private one."""
    key = SigningKey.from_whsk(WHSK)
    shown = f"{key} {key!r} {key!s} {[key]} {key.jwk()}"
    assert WHPK in shown
    assert WHSK[5:40] not in shown
    assert "rivate" not in shown


# ---- verifying


def test_every_secret_of_a_list_is_tried() -> None:
    """While keys are rotated, one that matches one signature is enough."""
    headers = received(signature=f"v1,AAAA {V1A} v2,whatever {V1}")
    for secret in ([SECRET, new_secret()], (new_secret(), SECRET), [WHPK], [new_secret(), WHPK]):
        assert check(headers, secret=secret) == {"test": 2432232314}
    assert "No signature" in refusal(headers, secret=[new_secret(), new_secret()])


class Plain:
    """A mapping in the loosest sense: it has items()."""

    def items(self) -> Any:
        return iter(received().items())


@pytest.mark.parametrize(
    "headers",
    [
        {name.title(): value for name, value in received().items()},
        {name.upper(): value for name, value in received().items()},
        UserDict(received()),
        Headers(received()),
        received() | {"X-Other": "ä\r\n", b"webhook-id": b"other", None: None},
        Plain(),
    ],
)
def test_header_names_are_found_in_any_case_and_mapping(headers: Any) -> None:
    """Capitals, other mappings and strange neighbours change nothing."""
    assert check(headers) == {"test": 2432232314}


WRONG_SIGNATURES = {
    # CVE-2024-21491: a library compared only as many bytes as the sender had sent
    "empty": "",
    "version alone": "v1",
    "empty after the version": "v1,",
    "shortened": V1[:-1],
    "first bytes": "v1,g0hM",
    "first byte": "v1,gw==",
    "lengthened": V1 + "=",
    "doubled": "v1," + V1[3:] * 2,
    "another signature follows": V1 + ",AAAA",
    "comma before": "v1,," + V1[3:],
    "no version": V1[3:],
    "empty version": V1[2:],
    "wrong version": "v2," + V1[3:],
    "the asymmetric version": "v1a," + V1[3:],
    "capital version": "V1," + V1[3:],
    "short version": "v," + V1[3:],
    "separator": V1.replace(",", "="),
    "not padded": V1.rstrip("="),
    "spare bits": V1[:-2] + "F=",
    "URL alphabet": V1.replace("/", "_").replace("+", "-"),
    "hexadecimal": "v1," + base64.b64decode(V1[3:]).hex(),
    "spaces": "   ",
    "tab": V1 + "\t",
    "tab between": "v1,AAAA\t" + V1,
    "zeros": "v1," + base64.b64encode(bytes(32)).decode(),
    "the other key's": sign(ID, TIME, BODY, secrets=["whsec_" + "A" * 32]),
}


@pytest.mark.parametrize("signature", WRONG_SIGNATURES.values(), ids=WRONG_SIGNATURES)
@pytest.mark.parametrize("secret", [SECRET, WHPK, [WHPK, SECRET]], ids=["v1", "v1a", "both"])
def test_a_wrong_signature_is_refused(signature: str, secret: Any) -> None:
    """Empty, cut, prolonged, otherwise encoded or of another version: never accepted."""
    refusal(received(signature=signature), secret=secret)


@pytest.mark.parametrize(
    "signature",
    [
        "v1a,",
        "v1a",
        V1A[:-4],
        V1A + "AAAA",
        "v1," + V1A[4:],
        "v1a,AAAA",
        "v1a,!",
        "v1a," + base64.b64encode(bytes(64)).decode(),
    ],
)
def test_a_wrong_v1a_signature_is_refused(signature: str) -> None:
    """ed25519 signatures of another length, version, or content are refused."""
    assert "No signature" in refusal(received(signature=signature), secret=WHPK)


def test_a_public_key_is_no_hmac_secret() -> None:
    """What anybody can compute from the published key (v1 with it as the secret) is refused."""
    public = base64.b64decode(WHPK.removeprefix("whpk_"))
    for known in (public, WHPK.encode(), WHPK.removeprefix("whpk_").encode()):
        digest = hmac.digest(known, f"{ID}.{TIME}.".encode() + BODY, "sha256")
        forged = base64.b64encode(digest).decode()
        refusal(received(signature=f"v1,{forged} v1a,{forged}"), secret=WHPK)


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_a_missing_header_is_refused_by_name(name: str) -> None:
    """Each of the three is needed, and the error names the one that is missing."""
    headers = received()
    del headers[f"webhook-{name}"]
    assert f"webhook-{name} is missing" in refusal(headers)


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
@pytest.mark.parametrize("value", ["", " ", "ä", "\udcff", b"v1", 5, None, ["v1"]])
def test_a_header_that_is_no_plain_text_is_refused(name: str, value: Any) -> None:
    """Empty, non-ASCII or no str at all: refused, whichever header it is."""
    refusal(received(**{name: value}))


def test_a_header_that_came_twice_is_refused() -> None:
    """Nobody can say which of two values was signed."""
    twice = [*received().items(), ("Webhook-Id", "other")]
    assert "2 times" in refusal(Headers(twice))
    assert "2 times" in refusal(received() | {"WEBHOOK-TIMESTAMP": str(TIME)})


def test_a_lookalike_header_name_is_another_header() -> None:
    """The Kelvin sign, whose lower case is k, makes no webhook-id."""
    headers = received()
    headers["webhoo\N{KELVIN SIGN}-id"] = headers.pop("webhook-id")
    assert "webhook-id is missing" in refusal(headers)


@pytest.mark.parametrize(
    "timestamp",
    [
        f"{TIME}.0",
        f"{TIME}.5",
        f"+{TIME}",
        f"-{TIME}",
        f" {TIME}",
        f"{TIME}\n",
        f"0{TIME}",
        "1_614_265_330",
        "1.614265330e9",
        "0x6037bc72",
        "inf",
        "nan",
        "9" * 13,
        "9" * 5000,
        "١٦١٤٢٦٥٣٣٠",
        "１６１４２６５３３０",
        "2021-02-25T15:02:10Z",
    ],
)
def test_a_timestamp_is_whole_seconds_in_plain_digits(timestamp: str) -> None:
    """Any other writing of a time is refused, however near it is."""
    signed = f"{ID}.{timestamp}.".encode("utf-8", "replace") + BODY
    digest = hmac.digest(check_secret(SECRET), signed, "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    assert "webhook-timestamp" in refusal(received(timestamp=timestamp, signature=signature))


@pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
def test_300_seconds_off_pass(off: int) -> None:
    """A message is accepted up to and with 300 s, early or late."""
    assert check(now=TIME + off) == {"test": 2432232314}


@pytest.mark.parametrize(
    ("off", "word"), [(-301, "future"), (-300.001, "future"), (300.001, "old"), (301, "old")]
)
def test_more_than_300_seconds_off_is_refused(off: float, word: str) -> None:
    """A message is refused beyond 300 s, early or late, and the error says which."""
    assert word in refusal(now=TIME + off)


@pytest.mark.parametrize("tolerance", [0, -1, float("nan"), None, "300", True, 1j])
def test_a_strange_tolerance_never_widens_the_gate(tolerance: Any) -> None:
    """With a tolerance that is zero, negative or no number, an old message is refused."""
    refusal(now=TIME + 1, tolerance=tolerance)


def test_a_broken_clock_refuses() -> None:
    """A clock that says NaN lets nothing through."""
    refusal(now=float("nan"))


def test_the_clock_of_the_machine_is_the_default() -> None:
    """Without `now` a message signed this second passes, the published one of 2021 doesn't."""
    now = int(time.time())
    headers = dict(signing.headers(ID, now, BODY, secrets=[SECRET]))
    assert verify(BODY, headers, SECRET) == {"test": 2432232314}
    with pytest.raises(VerificationError, match="too old"):
        verify(BODY, received(), SECRET)


def test_a_dot_can_not_move_the_timestamp() -> None:
    """Signed content with three dots is read in one way: an id that holds one is refused."""
    body = f"{TIME}.5".encode()
    headers = dict(signing.headers("msg_1", TIME - 9999, body, secrets=[SECRET]))
    moved = headers | {"webhook-id": f"msg_1.{TIME - 9999}", "webhook-timestamp": str(TIME)}
    assert "webhook-id" in refusal(moved, body=b"5")


@pytest.mark.parametrize("body", [BODY.decode(), bytearray(BODY), memoryview(BODY), None, {}, 5])
def test_a_body_must_be_bytes(body: Any) -> None:
    """Anything but bytes is refused, and the error asks for the raw bytes."""
    assert "raw bytes" in refusal(body=body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}{}",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[" * 200_000,
        b"9" * 5_000,
        CANARY.encode(),
        b"\xff" + CANARY.encode(),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_signed_body_that_is_no_json_is_refused_and_unseen(body: bytes) -> None:
    """Not JSON, not UTF-8, NaN, too deep, too long a number: refused, and the body isn't told."""
    headers = dict(signing.headers(ID, TIME, body, secrets=[SECRET]))
    with pytest.raises(VerificationError, match="not JSON") as caught:
        check(headers, body=body)
    assert CANARY not in all_that_an_error_tells(caught.value)


@pytest.mark.parametrize("payload", [None, True, 0, 1.5, "", "é🚂", [], {}, {"a": [None, {}]}])
def test_any_json_value_is_a_payload(payload: Any) -> None:
    """The payload comes back as it was, of whatever JSON type, falsy ones included."""
    body = json.dumps(payload).encode()
    assert check(dict(signing.headers(ID, TIME, body, secrets=[SECRET])), body=body) == payload


@pytest.mark.parametrize("secret", [one for one, _ in WRONG_SECRETS.values()], ids=WRONG_SECRETS)
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [SECRET, one]], ids=["one", "list"])
def test_the_receivers_own_wrong_secret_is_told_unseen(
    secret: Any, wrap: Callable[[Any], Any]
) -> None:
    """A wrong secret is a VerificationError that says so, though another one would match."""
    with pytest.raises(VerificationError, match="secret") as caught:
        check(secret=wrap(secret))
    told = all_that_an_error_tells(caught.value)
    assert CANARY not in told
    assert not secret or len(secret) < 10 or str(secret) not in told


@pytest.mark.parametrize(
    "secret",
    [[], (), None, 5, {SECRET}, SECRET.encode(), bytearray(9), [None], [b"x"], "whpk_AAAA"],
)
def test_a_secret_of_another_type_is_refused(secret: Any) -> None:
    """No secret at all, bytes, sets, and lists of other things are refused."""
    refusal(secret=secret)


def test_an_empty_list_of_secrets_is_told() -> None:
    """A receiver whose list is empty isn't sent looking for a wrong signature."""
    assert "list of secrets is empty" in refusal(secret=[])


def test_a_private_key_given_to_verify_is_told_unseen() -> None:
    """A receiver who pastes the private key is told so, without seeing it in the log."""
    with pytest.raises(VerificationError, match="private key") as caught:
        check(secret=WHSK)
    assert WHSK[5:40] not in all_that_an_error_tells(caught.value)


class Angry:
    def items(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize("headers", [5, [], "webhook-id", {1}, Angry(), Angry])
def test_headers_that_are_no_mapping_are_refused(headers: Any) -> None:
    """What can't be read as headers is refused like a wrong signature."""
    assert "headers can't be read" in refusal(headers)


def test_too_many_signatures_are_refused_unchecked() -> None:
    """A header of more than 4,096 characters costs no signature check."""
    assert "4096" in refusal(received(signature=(V1A + " ") * 50 + V1), secret=[SECRET, WHPK])


@settings(deadline=None)
@given(st.data())
def test_one_changed_bit_is_refused(data: st.DataObject) -> None:
    """A flipped bit anywhere in the body, the id or the signature breaks both versions."""
    both = received(signature=f"{V1} {V1A}")
    place = data.draw(st.sampled_from(["body", "id", "v1", "v1a"]))
    raw = {"body": BODY, "id": ID.encode(), "v1": V1.encode(), "v1a": V1A.encode()}[place]
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    changed = bytes(b ^ (1 << at % 8 if i == at // 8 else 0) for i, b in enumerate(raw))
    if place == "body":
        return _refused_by_both(both, changed)
    text = changed.decode("latin-1")
    _refused_by_both(both | {f"webhook-{'id' if place == 'id' else 'signature'}": text}, BODY)


def _refused_by_both(headers: dict[str, str], body: bytes) -> None:
    refusal(headers, body=body, secret=[SECRET, WHPK])


# ---- whatever comes


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SIGNATURE_PART = st.sampled_from([V1, V1A, "v1,", "v1a,", ",", "v1", " ", "  ", "=", "ä", "\x00"])
SIGNATURES = st.lists(SIGNATURE_PART | st.text(max_size=5), max_size=6).map("".join)
TIMES = st.integers(TIME - 400, TIME + 400)
KEYS = st.sampled_from([SECRET, WHPK, WHSK, "whsec_", "whpk_"]) | st.text().map("whsec_".__add__)
RIGHT: dict[str, Any] = {
    "webhook-id": ID,
    "webhook-timestamp": str(TIME),
    "webhook-signature": f"{V1} {V1A}",
    "headers": {},
    "body": BODY,
    "secret": [WHPK, SECRET],
    "now": TIME,
    "tolerance": 300,
}
SPOILED = {
    "webhook-id": st.text() | ANYTHING,
    "webhook-timestamp": TIMES.map(str) | st.text("0123456789.-+e_") | ANYTHING,
    "webhook-signature": SIGNATURES | ANYTHING,
    "headers": st.dictionaries(st.sampled_from(["Webhook-Id", "x", b"x", None]), ANYTHING),
    "body": st.binary() | ANYTHING,
    "secret": KEYS | st.lists(KEYS | ANYTHING, max_size=3) | ANYTHING,
    "now": TIMES | st.floats(),
    "tolerance": ANYTHING,
}
FEW = st.sets(st.sampled_from(sorted(SPOILED)), max_size=2)


@settings(max_examples=800, deadline=None)
@given(FEW.flatmap(lambda names: st.fixed_dictionaries({name: SPOILED[name] for name in names})))
def test_one_or_two_spoiled_arguments_give_only_the_one_error(spoiled: dict[str, Any]) -> None:
    """However one or two arguments are spoiled: the signed payload, or a VerificationError."""
    given_ = RIGHT | spoiled
    headers = {name: given_[name] for name in received()} | given_["headers"]
    clean_or_refused(given_["body"], headers, given_["secret"], given_["now"], given_["tolerance"])


@settings(max_examples=300, deadline=None)
@given(ANYTHING, ANYTHING, ANYTHING, st.floats(), ANYTHING)
def test_senseless_arguments_give_only_the_one_error(
    body: Any, headers: Any, secret: Any, now: float, tolerance: Any
) -> None:
    """With nothing right in any argument, still only a VerificationError leaves."""
    clean_or_refused(body, headers, secret, now, tolerance)


def clean_or_refused(body: Any, headers: Any, secret: Any, now: float, tolerance: Any) -> None:
    try:
        payload = verify(body, headers, secret, tolerance=tolerance, now=lambda: now)
    except VerificationError as error:
        assert type(error) is VerificationError
        assert SECRET[6:] not in all_that_an_error_tells(error)
    else:
        assert (body, payload) == (BODY, {"test": 2432232314})


#: How many headers are tried; a million take about a minute.
FUZZED = int(os.environ.get("WEBHOOKS_TEST_FUZZ", "20000"))
PIECES = [V1, V1A, V1[:-1], V1A[3:], "v1,", "v1a,", "v2,", ",", " ", "  ", "\t", "=", ".", "\x00",
          "é", "9" * 30, str(TIME), ID, SECRET, WHPK, "\r\n", "A" * 5000]  # fmt: skip


def test_random_headers_give_only_the_one_error() -> None:
    """Of all the headers that are tried, those that verify carry the right signature."""
    rng, passed = random.Random(20261123), 0
    for _ in range(FUZZED):
        headers: dict[str, str] = received(signature=f"{V1} {V1A}")
        for name in rng.sample(sorted(headers), rng.randint(0, 2)):
            headers[name] = _mangled(rng, headers[name])
        try:
            verify(BODY, headers, [SECRET, WHPK], now=lambda: TIME)
        except VerificationError as error:
            assert type(error) is VerificationError
            continue
        passed += 1
        signatures = headers["webhook-signature"].split(" ")
        assert (headers["webhook-id"], headers["webhook-timestamp"]) == (ID, str(TIME))
        assert V1 in signatures or V1A in signatures
    assert 0 < passed < FUZZED


def _mangled(rng: random.Random, value: str) -> str:
    if rng.random() < 0.5:
        return "".join(rng.choices(PIECES, k=rng.randint(0, 4)))
    at = rng.randrange(len(value))
    return value[:at] + rng.choice([*PIECES, chr(rng.randrange(0x250)), ""]) + value[at + 1 :]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_signed_bytes_give_their_json_or_the_error(body: bytes) -> None:
    """A rightly signed body of any bytes gives what strict JSON says of it, or the one error."""
    headers = dict(signing.headers(ID, TIME, body, secrets=[SECRET]))
    try:
        payload = check(headers, body=body)
    except VerificationError as error:
        assert "not JSON" in str(error)
    else:
        assert payload == json.loads(body)


# ---- other people's libraries


def test_10000_messages_agree_with_the_official_library() -> None:
    """Both libraries give the same v1 signature of any id, time, secret and text."""
    rng = random.Random(20260817)
    now = int(time.time())
    for number in range(10_000):
        secret = "whsec_" + base64.b64encode(rng.randbytes(rng.randint(24, 64))).decode()
        body = json.dumps({"text": random_text(rng, 60), "n": number}, ensure_ascii=False)
        at = rng.choice([now, rng.randrange(2**32)])
        message_id = f"msg_{rng.getrandbits(128):x}"
        oracle = standardwebhooks.Webhook(secret)
        ours = signing.headers(message_id, at, body.encode(), secrets=[new_secret(), secret])
        theirs = oracle.sign(message_id, datetime.fromtimestamp(at, UTC), body)
        assert dict(ours)["webhook-signature"].split(" ")[1] == theirs
        if at == now:
            assert oracle.verify(body.encode(), dict(ours)) == json.loads(body)
            assert verify(body.encode(), dict(ours), secret) == json.loads(body)


def test_the_official_library_reads_a_header_with_both_versions() -> None:
    """A v1a signature beside it doesn't keep a receiver from finding the v1 one."""
    now = int(time.time())
    keys = [SigningKey.derive(b"1" * 32), SigningKey.derive(b"2" * 32)]
    both = dict(signing.headers(ID, now, BODY, secrets=[SECRET], signing_keys=keys))
    assert standardwebhooks.Webhook(SECRET).verify(BODY, both) == {"test": 2432232314}


def test_v1_is_plain_hmac() -> None:
    """The signature is HMAC-SHA256 of id, time and body, joined by dots, whatever the bytes."""
    body = bytes(range(256))
    expected = hmac.new(base64.b64decode(SECRET[6:]), b"m.7." + body, hashlib.sha256).digest()
    assert sign("m", 7, body, secrets=[SECRET]) == "v1," + base64.b64encode(expected).decode()
