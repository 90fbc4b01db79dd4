"""The blinker signals that tell what became of captured callbacks and of deliveries.

The sender is always the Flask app; everything else comes by keyword, so a receiver is
``def receiver(app, **extra)``. Receivers run inside an app context. An exception in a receiver is
logged and changes nothing.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

message_stored = _signals.signal(
    "message-stored",
    "A message was stored. Where it was written in a transaction of the app's, that may still be "
    "rolled back. Keywords: ``message``.",
)
callback_captured = _signals.signal(
    "callback-captured",
    "A URL was taken out of a live call and stored. Keywords: ``callback`` (its name), "
    "``subscription``.",
)
callback_unresolved = _signals.signal(
    "callback-unresolved",
    "A declared callback had no usable URL in a live call; nothing was stored. Keywords: "
    "``callback`` (its name), ``expression``, ``reason``.",
)
delivery_succeeded = _signals.signal(
    "delivery-succeeded",
    "A receiver gave a declared answer. Keywords: ``delivery``, ``attempt``.",
)
delivery_failed = _signals.signal(
    "delivery-failed",
    "An attempt failed; the delivery may be tried again. Keywords: ``delivery``, ``attempt``.",
)
delivery_exhausted = _signals.signal(
    "delivery-exhausted",
    "The last attempt of a delivery failed. Keywords: ``delivery``, ``attempt``.",
)
subscription_disabled = _signals.signal(
    "subscription-disabled",
    "A subscription takes no more deliveries. Keywords: ``subscription``, ``reason``.",
)
