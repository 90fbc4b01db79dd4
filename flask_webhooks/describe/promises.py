"""What the document promises about deliveries, generated from the settings that they run with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..rules.retry import GONE, PAUSE_CAP, RETRY_AFTER_CAP, SLOW_DOWN

#: The name of the security scheme of everything that is sent.
SIGNATURE_SCHEME = "webhookSignature"

HEADERS: dict[str, dict[str, Any]] = {
    "webhook-id": {
        "name": "webhook-id",
        "in": "header",
        "required": True,
        "description": "Identifies the message. It stays the same over every retry and replay, so "
        "use it to tell a repeated delivery from a new one.",
        "schema": {"type": "string"},
        "example": "msg_019ab0c5b1f27c5e9d6e0e6f3c1a2b4d",
    },
    "webhook-timestamp": {
        "name": "webhook-timestamp",
        "in": "header",
        "required": True,
        "description": "When this attempt was made, in seconds since 1970. Refuse what is more "
        "than five minutes away from your clock.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "1790000000",
    },
    "webhook-signature": {
        "name": "webhook-signature",
        "in": "header",
        "required": True,
        "description": "One or more signatures, separated by spaces: `v1,` and an HMAC-SHA256 in "
        "base64, or `v1a,` and an Ed25519 signature in base64, each over "
        "`{webhook-id}.{webhook-timestamp}.{body}`.",
        "schema": {"type": "string"},
    },
}


@dataclass(frozen=True, kw_only=True)
class Promises:
    """How deliveries are made, as far as a receiver can notice it."""

    #: Total deadline of an attempt in seconds.
    timeout: float
    #: Delays in seconds, one before each attempt.
    schedule: Sequence[float]
    #: Seconds of nothing but failures after which a subscription is disabled.
    disable_after: float
    #: Where the public keys of captured callbacks are served.
    keys_url: str

    def in_words(self) -> str:
        """The promises as a paragraph for integrators."""
        return (
            "Deliveries are made at least once: one may arrive again, always with the same "
            f"`webhook-id`. Answer within {readable(self.timeout)} with a 2xx status that the "
            f"webhook declares, and do the work later. {self.failure_in_words()}"
        )

    def failure_in_words(self) -> str:
        """What becomes of a delivery that was answered otherwise, or not at all."""
        return (
            "Any other answer is a failure, and so are a redirect, which is never followed, and "
            "silence. "
            f"{retries_in_words(self.schedule)} `{GONE}` ends it at once and disables the "
            f"subscription. {_listed(sorted(SLOW_DOWN))}, and silence that lasts, hold back the "
            f"whole subscription for up to {readable(PAUSE_CAP)}, or for as long as `Retry-After` "
            "asks. `Retry-After` is obeyed with any failure, up to "
            f"{readable(RETRY_AFTER_CAP)} each time. A subscription to which every attempt has "
            f"failed for {readable(self.disable_after)} is disabled."
        )

    def as_object(self, public_keys: Sequence[str]) -> dict[str, Any]:
        """The promises as the document's ``x-webhooks-delivery``. Times are in seconds."""
        return {
            "description": self.in_words(),
            "guarantee": "at-least-once",
            "success": "a 2xx status that the webhook declares",
            "signature": "https://www.standardwebhooks.com",
            "timeout": self.timeout,
            "retrySchedule": list(self.schedule),
            "jitter": "full",
            "disableOn": [GONE],
            "slowDownOn": sorted(SLOW_DOWN),
            "retryAfterLimit": RETRY_AFTER_CAP,
            "disableAfter": self.disable_after,
            "publicKeys": list(public_keys),
            "publicKeySet": self.keys_url,
        }


def own_schedule(schedule: Sequence[float]) -> dict[str, Any]:
    """The ``x-webhooks-delivery`` of a webhook that has a retry schedule of its own."""
    return {"description": retries_in_words(schedule), "retrySchedule": list(schedule)}


def retries_in_words(schedule: Sequence[float]) -> str:
    """A retry schedule as one sentence for integrators."""
    delays = [readable(delay) for delay in schedule[1:]]
    if not delays:
        return "The delivery is not tried again."
    return (
        f"The delivery is tried again, {_times(len(delays))} at most, each time after a random "
        f"part of a longer time: {', '.join(delays)}."
    )


def security_scheme(keys_url: str, public_keys: Sequence[str]) -> dict[str, Any]:
    """The Security Scheme Object of outgoing requests.

    :param public_keys: ``whpk_…`` texts; shown where callbacks are captured.
    """
    words = (
        "A [Standard Webhooks](https://www.standardwebhooks.com) signature. Verify `v1` with the "
        "secret of your subscription (`whsec_…`)."
    )
    if public_keys:
        shown = " or ".join(f"`{key}`" for key in public_keys)
        words += (
            " A callback whose URL you gave in a call carries `v1a`: verify it with the public key "
            f"{shown}, also served at `{keys_url}`."
        )
    return {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": words}


def readable(seconds: float) -> str:
    """Input: ``5400``. Output: ``"1.5 hours"``."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = round(seconds / size, 1)
            return f"{count:g} {unit}" + ("" if count == 1 else "s")
    return f"{seconds:g} seconds"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _listed(codes: Sequence[int]) -> str:
    """Input: ``[429, 503]``. Output: ``"`429` and `503`"``."""
    *most, last = [f"`{code}`" for code in codes]
    return f"{', '.join(most)} and {last}" if most else last
