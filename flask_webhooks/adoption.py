"""Adopts a signal that the app or another extension sends: each sending of it is a ``send``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from blinker import Signal
from flask import Flask

from .declarations import Webhook
from .exceptions import WebhooksError

_OPTIONS = ("key", "tenant", "idempotency_key")


def adopt(
    signal: Signal,
    webhook: Webhook,
    payload: Callable[..., Any] | None,
    *,
    initialized: Callable[[Flask], bool],
) -> None:
    """Let every sending of ``signal`` send ``webhook``.

    Arguments of the signal named ``key``, ``tenant`` and ``idempotency_key`` are passed on.

    :param payload: from the sender and the signal's arguments to the payload.
    :param initialized: whether an app has the extension; the signals of other apps are not ours.
    """

    def receive(sender: Any, **arguments: Any) -> Any:
        app = sender if isinstance(sender, Flask) else webhook.door.current_app()
        if not initialized(app):
            return None
        options = {name: arguments[name] for name in _OPTIONS if name in arguments}
        with app.app_context():
            return webhook.send(_payload(webhook, payload, sender, arguments), **options)

    signal.connect(receive, weak=False)


def _payload(
    webhook: Webhook, make: Callable[..., Any] | None, sender: Any, arguments: Mapping[str, Any]
) -> Any:
    if make is not None:
        return _call(make, sender, arguments)
    if "payload" not in arguments:
        raise WebhooksError(
            f"{webhook.name}: the adopted signal came with {sorted(arguments) or 'nothing'} and no "
            "'payload'. Say how to make one: payload=lambda sender, **arguments: …"
        )
    return arguments["payload"]


def _call(make: Callable[..., Any], sender: Any, arguments: Mapping[str, Any]) -> Any:
    """Call it as blinker would, or, when it has no place for a sender, with the arguments alone."""
    try:
        inspect.signature(make).bind(sender, **arguments)
    except TypeError:
        return make(**arguments)
    return make(sender, **arguments)
