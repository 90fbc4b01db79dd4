"""Asks the owner of a URL whether it wants webhooks, before the first message is sent there.

Two ways: an echo, where a signed POST carries a challenge and the answer repeats it; and the
handshake of CloudEvents' HTTP 1.1 Web Hooks, section 4, an ``OPTIONS`` request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Literal

from .outcome import Outcome, Reason
from .transport import Outgoing

#: Signs a body for the subscription that is asked: from an id and the body to headers.
Sign = Callable[[str, bytes], tuple[tuple[str, str], ...]]


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """One of the two ways of asking.

    :param kind: ``"echo"`` or ``"options"``.
    :param origin: the DNS name of the sender, which the handshake states.
    """

    kind: Literal["echo", "options"]
    origin: str
    token: Callable[[], str] = token_hex

    def ask(
        self, send: Callable[[Outgoing], Outcome], url: str, timeout: float, sign: Sign
    ) -> Outcome | None:
        """Ask once.

        :param timeout: total deadline in seconds.
        :returns: ``None`` when the owner agrees; else the outcome of the attempt that failed by it.
        """
        if self.kind == "options":
            outcome = send(self._handshake(url, timeout))
            agrees = _allows(outcome, self.origin)
        else:
            token = self.token()
            outcome = send(self._echo(url, timeout, sign, token))
            agrees = _echoes(outcome, token)
        if agrees:
            return None
        if outcome.reason is not Reason.answered:
            return outcome
        detail = f"The ownership check was answered with {outcome.status}, and not as it asks."
        return replace(outcome, reason=Reason.unconfirmed, status=None, body=b"", detail=detail)

    def _echo(self, url: str, timeout: float, sign: Sign, token: str) -> Outgoing:
        body = json.dumps({"type": "challenge", "challenge": token}).encode()
        headers = sign(f"challenge_{token}", body)
        return Outgoing(method="POST", url=url, headers=headers, body=body, timeout=timeout)

    def _handshake(self, url: str, timeout: float) -> Outgoing:
        headers = (("WebHook-Request-Origin", self.origin),)
        return Outgoing(method="OPTIONS", url=url, headers=headers, body=b"", timeout=timeout)


def _echoes(outcome: Outcome, token: str) -> bool:
    """Whether a 2xx answer is the challenge, as it is or as ``{"challenge": …}``."""
    if outcome.status is None or not 200 <= outcome.status < 300:
        return False
    if outcome.body.strip() == token.encode():
        return True
    try:
        answer = json.loads(outcome.body)
    except (ValueError, RecursionError):
        return False
    # Nothing else: whoever repeats any request whole has not agreed to anything.
    return bool(answer == {"challenge": token})


def _allows(outcome: Outcome, origin: str) -> bool:
    if outcome.status is None or not 200 <= outcome.status < 300:
        return False
    allowed = [value for name, value in outcome.headers if name.lower() == "webhook-allowed-origin"]
    return any(value.strip() in ("*", origin) for value in allowed)
