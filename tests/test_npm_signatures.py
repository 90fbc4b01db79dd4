"""Messages signed here are verified by the official npm package, as a receiver in Node would.

Prepare it with ``npm install --prefix tests/npm``, or name a ``node_modules`` directory that holds
``standardwebhooks`` in ``WEBHOOKS_TEST_NODE_MODULES``. Without it these tests are skipped, or fail
where ``WEBHOOKS_TEST_REQUIRE`` lists ``npm``.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from flask_webhooks.rules import signing
from flask_webhooks.rules.key_texts import new_secret
from flask_webhooks.rules.signing_keys import SigningKey

NPM = Path(__file__).parent / "npm"
ALPHABET = 'abc "\\/\n\r\t.,{}\x00\x7fäß→日本語🚂\u2028'
SMALLEST = ["{}", "[]", '""', "0", "null", "false", " {}\n"]


def unavailable(reason: str) -> NoReturn:
    if "npm" in os.environ.get("WEBHOOKS_TEST_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)


def node_command() -> list[str]:
    modules = Path(os.environ.get("WEBHOOKS_TEST_NODE_MODULES") or NPM / "node_modules").resolve()
    node = shutil.which("node")
    if node is None:
        unavailable("node is not installed")
    if not (modules / "standardwebhooks").is_dir():
        unavailable(f"no standardwebhooks in {modules}: run npm install --prefix tests/npm")
    return [node, str(NPM / "verify.mjs"), str(modules)]


def verified_by_node(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    done = subprocess.run(
        node_command(), input=lines, capture_output=True, text=True, timeout=60, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    # not splitlines(), which also splits at U+2028
    return [json.loads(line) for line in done.stdout.removesuffix("\n").split("\n")]


def bodies(rng: random.Random, count: int) -> list[str]:
    texts = ["".join(rng.choices(ALPHABET, k=rng.randrange(100))) for _ in range(count)]
    objects = [json.dumps({"text": text}, ensure_ascii=bool(rng.getrandbits(1))) for text in texts]
    large = json.dumps({"large": "".join(rng.choices(ALPHABET, k=700_000))}, ensure_ascii=False)
    assert len(large.encode()) > 1_000_000
    return [large, *SMALLEST, *objects][:count]


def signed(rng: random.Random, body: str, key: SigningKey) -> dict[str, Any]:
    """A message with up to three signatures, one of them that of its secret."""
    secret = "whsec_" + base64.b64encode(rng.randbytes(rng.randint(24, 64))).decode()
    secrets = rng.choice([[secret], [new_secret(), secret], [secret, new_secret()]])
    message_id = f"msg_{rng.getrandbits(128):032x}"
    raw = body.encode()
    headers = signing.headers(
        message_id, int(time.time()), raw, secrets=secrets, signing_keys=[key][: rng.randrange(2)]
    )
    body64 = base64.b64encode(raw).decode()
    return {"body": body64, "headers": dict(headers), "secret": secret}


def test_10000_messages_are_verified_by_the_npm_package() -> None:
    """A receiver in Node accepts all our signatures and reads the payloads that were signed."""
    rng = random.Random(20260818)
    key = SigningKey.derive(b"k" * 32)
    sent = bodies(rng, 10_000)
    messages = [signed(rng, body, key) for body in sent]
    answers = verified_by_node(messages)
    assert [one.get("error") for one in answers] == [None] * 10_000
    assert [one["id"] for one in answers] == [one["headers"]["webhook-id"] for one in messages]
    assert [one["payload"] for one in answers] == [json.loads(body) for body in sent]


def test_the_npm_package_refuses_what_we_did_not_sign() -> None:
    """The oracle is awake: another body, id, time, secret or a v1a signature alone is refused."""
    rng = random.Random(1)
    key = SigningKey.derive(b"k" * 32)
    good = signed(rng, '{"a": 1}', key)
    headers = good["headers"]
    wrong = [
        good | {"body": base64.b64encode(b'{"a": 2}').decode()},
        good | {"secret": new_secret()},
        good | {"headers": headers | {"webhook-id": "msg_other"}},
        good | {"headers": headers | {"webhook-timestamp": str(int(time.time()) - 10)}},
        good | {"headers": headers | {"webhook-signature": "v1a," + "A" * 86 + "=="}},
    ]
    answers = verified_by_node([good, *wrong])
    assert "error" not in answers[0]
    assert ["No matching signature" in one["error"] for one in answers[1:]] == [True] * 5
