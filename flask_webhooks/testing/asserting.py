"""For tests: asserts that a document is valid, and signs a body as a sender would."""

from __future__ import annotations

import time
from typing import Any

from ..describe.check import findings
from ..describe.structure import structure
from ..door import state_of
from ..exceptions import DeclarationError
from ..rules import signing
from ..rules.ids import new_id


def assert_document_valid(app: Any) -> None:
    """Assert that an app's document is valid OpenAPI, and that nothing in it leads nowhere.

    With ``openapi-spec-validator`` installed (the extra ``check``) its structure is checked, too.

    :raises AssertionError: shows each thing that is wrong, and where.
    """
    with app.app_context():
        try:
            document = state_of(app).document()
        except DeclarationError as error:
            raise AssertionError(f"The document of {app.name} is not valid: {error}") from error
    found = findings(document)
    wrong = sorted([*found, *(structure(document, found) or ())])
    if wrong:
        lines = "\n".join(f"  {one.pointer or '(document)'}: {one.text}" for one in wrong)
        raise AssertionError(f"The document of {app.name} is not valid:\n{lines}")


def sign(
    body: bytes | str, secret: str, *, message_id: str | None = None, at: float | None = None
) -> dict[str, str]:
    """The headers with which a sender of Standard Webhooks would post a body: for receivers' tests.

    :param secret: of the subscription, ``whsec_…``.
    :param message_id: the ``webhook-id``; a new one by default.
    :param at: when it is sent, unix time in seconds; now by default.
    :raises SecretError: the secret is malformed.
    """
    now = time.time() if at is None else at
    raw = body.encode() if isinstance(body, str) else body
    message_id = message_id or new_id("msg", now)
    signed = signing.headers(message_id, int(now), raw, secrets=[secret])
    return {"content-type": "application/json", **dict(signed)}
