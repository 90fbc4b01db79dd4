"""What ``listen --forward-to`` does: each request is sent on, and answered as it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug import Request

from ..rules.headers import is_reserved
from ..rules.urls import check_url
from ..state import State
from .answering import Answer

if TYPE_CHECKING:
    from ..deliver.transport import Transport

# What a delivery states itself, and no subscription may.
_OURS = ("content-digest", "content-type", "signature", "signature-input", "user-agent")


class Forwarder:
    """Sends a request on as it came, by the rules of deliveries; answers as it is answered.

    :param timeout: total deadline in seconds.
    """

    def __init__(self, transport: Transport, url: str, timeout: float) -> None:
        self._transport, self._url, self._timeout = transport, url, timeout

    @classmethod
    def to(cls, url: str, current: State) -> Forwarder:
        """One that sends to a URL by an app's settings.

        :raises RefusedURLError: the URL breaks a rule.
        """
        check_url(url, current.settings.url_rules())
        return cls(current.transport(), url, current.settings.timeout)

    def __call__(self, request: Request) -> Answer:
        from ..deliver.transport import Outgoing

        outcome = self._transport.send(
            Outgoing(
                method="POST",
                url=self._url,
                headers=tuple((n, v) for n, v in request.headers if _goes_on(n)),
                body=request.get_data(),
                timeout=self._timeout,
            )
        )
        if outcome.status is None:
            failed = f"verified, but {self._url} failed: {outcome.reason} {outcome.detail}"
            return Answer(502, failed)
        told = f"verified, and forwarded in {outcome.duration * 1000:.0f} ms"
        return Answer(outcome.status, told)

    def close(self) -> None:
        """Close the connections that were kept."""
        self._transport.close()


def _goes_on(name: str) -> bool:
    """Whether a header is the delivery's own, and not of the connection that it came by."""
    ours = name.lower().startswith("webhook-") or name.lower() in _OURS
    return ours or not is_reserved(name)
