"""Requests with an ``Idempotency-Key``: done once, and answered alike when they are repeated."""

from __future__ import annotations

import hashlib
import json
from secrets import token_hex
from typing import Any

from flask import Blueprint, Response, abort, g, request

from ...door import state
from ...store import answers
from ...store.records import microseconds
from .desk import Desk
from .elsewhere import is_elsewhere
from .problems import problem

#: Seconds for which an answer is remembered, and after which a request that never ended is dead.
KEPT, PATIENCE = 86400.0, 60.0

_PURPOSE = "answer"
_WRITES = frozenset({"POST", "PATCH", "DELETE"})
_BEGUN = "_webhooks_api_begun"


def answer_once(blueprint: Blueprint, desk: Desk) -> None:
    """Look at the ``Idempotency-Key`` of every write.

    Only what was done is remembered: a request that was refused is judged anew.
    """

    @blueprint.before_request
    def begin() -> Response | None:
        key = _key()
        writes = request.method in _WRITES and not is_elsewhere(request.endpoint)
        if key is None or not writes:
            return None
        tenant = desk.owned().tenant
        digest = _digest(repr(tenant), key)
        made = _digest(request.method, request.full_path, desk.raw().hex())
        token, database = token_hex(16), state().database
        known = database.write(
            lambda c: answers.begin(
                c, database.tables, digest, token=token, request=made, now=_now(),
                keep=microseconds(KEPT), patience=microseconds(PATIENCE),
            )
        )  # fmt: skip
        if known is None:
            setattr(g, _BEGUN, (digest, token, tenant))
            return None
        return _repeated(desk, digest, tenant, known, made)

    @blueprint.after_request
    def end(response: Response) -> Response:
        begun = g.pop(_BEGUN, None)
        if begun is not None:
            digest, token, tenant = begun
            done = 200 <= response.status_code < 300
            sealed = _sealed(desk, digest, tenant, response) if done else None
            database = state().database
            database.write(lambda c: answers.end(c, database.tables, digest, token, sealed))
        return response


def _repeated(
    desk: Desk, digest: str, tenant: str | None, known: answers.Known, made: str
) -> Response:
    if known.request != made:
        return problem(
            422, "This Idempotency-Key was used for another request. Take a new one.", "key-reused"
        )
    if known.sealed is None:
        return problem(409, "The same request is under way. Ask again in a moment.", "under-way")
    text = state().keyring.open(known.sealed, tenant=tenant, subscription=digest, purpose=_PURPOSE)
    status, kind, body = json.loads(text)
    response = Response(body, status, content_type=kind)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _sealed(desk: Desk, digest: str, tenant: str | None, response: Response) -> bytes:
    """An answer as the store keeps it: there may be a secret in it."""
    said = [response.status_code, response.content_type, response.get_data(as_text=True)]
    return state().keyring.seal(
        json.dumps(said), tenant=tenant, subscription=digest, purpose=_PURPOSE
    )


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= 200:
        abort(400, "Idempotency-Key is a text of 1 to 200 characters.")
    return key


def _now() -> int:
    return microseconds(state().clock())


def _digest(*parts: Any) -> str:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
