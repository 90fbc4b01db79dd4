"""Tells when a session of the app's has committed: a hint, that may come early, or never."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy import event

logger = logging.getLogger("flask_webhooks.store")

#: Where a session keeps, among what is the app's, whom to tell.
_HINTS = "flask_webhooks.hints"


def hint_after_commit(session: Any, whose: object, then: Callable[[], None]) -> None:
    """Call ``then`` once after the session's next commit; :func:`listen_to_sessions` comes first.

    :param whose: for whom; only the last ``then`` of each is called.
    """
    session.info.setdefault(_HINTS, {})[whose] = then


@functools.cache
def listen_to_sessions() -> None:
    """Listen to all sessions, once: an app may make one for each request.

    To be called before there is any: one that commits meanwhile, on another thread, would fail.
    """
    # Whoever has a session has loaded it; whoever has none does without.
    from sqlalchemy.orm import Session

    event.listen(Session, "after_commit", _committed)


def _committed(session: Any) -> None:
    # It is called for savepoints, too. An exception would look like a failed commit.
    if _HINTS not in session.info or session.in_nested_transaction():
        return
    for then in session.info.pop(_HINTS).values():
        try:
            then()
        except Exception:
            logger.exception("The worker could not be woken; it will look by itself.")
