"""A transport for tests: it reaches this machine alone, and notes who else was to be called."""

from __future__ import annotations

from collections.abc import Callable

from ..exceptions import RefusedURLError
from ..rules.urls import UrlRules, check_url, shown
from .outcome import Outcome, Reason
from .transport import Outgoing, Transport


class StayingTransport(Transport):
    """Sends to loopback as any transport does; nothing is looked up or dialled for other hosts.

    :param note: is given each URL that was to be called, without its query.
    """

    def __init__(
        self,
        rules: UrlRules,
        *,
        note: Callable[[str], None],
        response_limit: int = 65536,
        verify: bool | str = True,
        client_cert: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(
            rules, response_limit=response_limit, verify=verify, client_cert=client_cert
        )
        self._rules = rules
        self._note = note

    def send(self, outgoing: Outgoing) -> Outcome:
        """Make one attempt, or say that none was made."""
        try:
            leaves = not check_url(outgoing.url, self._rules).loopback
        except RefusedURLError:
            leaves = False  # refused as ever
        if not leaves:
            return super().send(outgoing)
        self._note(shown(outgoing.url))
        detail = "Nothing leaves the machine in this test."
        return Outcome(reason=Reason.blocked, detail=detail, duration=0.0)
