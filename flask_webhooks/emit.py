"""The second act: one payload, validated, becomes one stored message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .declarations import Callback, Webhook
from .exceptions import WebhooksError
from .rules.ids import new_id
from .store.adding import new_message
from .store.database import Database
from .store.records import Message, microseconds


def emit(
    webhook: Webhook,
    payload: Any,
    *,
    encode: Callable[[Any], bytes],
    database: Database,
    wake: Callable[[], None],
    now: float,
    key: Any = None,
    tenant: str | None = None,
    idempotency_key: str | None = None,
    trace: str | None = None,
) -> Message:
    """Store ``payload`` as one message; the worker does the rest.

    :param encode: from the payload to the JSON bytes that go on the wire; raises
        :class:`PayloadError`.
    :param wake: tells the worker that there may be something to do.
    :param now: unix time in seconds.
    :param trace: the W3C ``traceparent`` of the span that sends it.
    :raises WebhooksError: a needed key is missing, or a text is too long to be stored.
    """
    key_text = _text(webhook, "key", key)
    if key_text is None and isinstance(webhook, Callback) and webhook.key is not None:
        raise WebhooksError(
            f"{webhook.name} was declared with key={webhook.key.text!r}: say whom it is for, as in "
            f"send(payload, key=…), or by --key on the command line."
        )
    message = new_message(
        new_id("msg", now),
        name=webhook.name,
        key=key_text,
        tenant=_text(webhook, "tenant", tenant),
        body=encode(payload),
        idempotency_key=_text(webhook, "idempotency_key", idempotency_key),
        now=microseconds(now),
        trace=trace,
    )
    return database.send(message, then=wake)


def _text(webhook: Webhook, argument: str, value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    if not 0 < len(text) <= 200 or "\x00" in text:
        raise WebhooksError(
            f"{webhook.name}: {argument}= can't be stored. Give 1 to 200 characters, and no NUL."
        )
    return text
