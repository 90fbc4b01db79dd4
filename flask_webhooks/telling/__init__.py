"""What became of messages and deliveries, told to all who want to know."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..store.claims import Claimed, Settlement
from ..store.database import Database
from ..store.records import Message
from . import logs, signals

if TYPE_CHECKING:
    # These rooms bring libraries that are extras.
    from .metrics import Metrics

logger = logging.getLogger("flask_webhooks.spans")

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def counts_together() -> bool:
    """Whether Prometheus' client is told to have processes count together, in files of a folder."""
    return bool(os.environ.get(_FOLDER))


def tracing() -> Any:
    """The room of spans; ``None``, and nothing is imported, while nobody has loaded OpenTelemetry.

    An app that traces has loaded it, and for any other it would be time and memory for nothing.
    """
    if "opentelemetry.trace" not in sys.modules:
        return None
    from . import spans

    return spans


def sent(name: str, store: Callable[[str | None], Message]) -> Message:
    """Have a message stored, within a span where the app traces.

    :param store: takes what is to be stored of the span: a W3C ``traceparent``, or nothing.
    """
    found = tracing()
    message: Message = store(None) if found is None else found.sending(name, store)
    return message


class Telling:
    """One app's witness of its worker.

    :param app: the Flask app, which sends the signals.
    :param propagates: whether receivers may see the trace of an attempt.
    :param count: begins to count.
    """

    def __init__(
        self,
        app: Any,
        database: Database,
        propagates: Callable[[], bool],
        count: Callable[[], Metrics],
    ) -> None:
        self._app = app
        self._database = database
        self._propagates = propagates
        self._count = count
        #: Whether another process may be asked for what this one counts.
        self._together = counts_together()
        #: What is counted, once somebody wants to know.
        self.metrics: Metrics | None = None

    def _counting(self) -> Metrics | None:
        if self.metrics is None and self._together:
            self._together = False
            try:
                self._count()
            except Exception:  # of an extra, and of a folder that is the operator's to make
                logger.exception("Nothing is counted in this process, though %s is set.", _FOLDER)
        return self.metrics

    def fanned_out(self, names: Counter[str]) -> None:
        """Messages became deliveries."""
        metrics = self._counting()
        if metrics is not None:
            metrics.fanned_out(names)

    def began(self, claimed: Claimed, method: str) -> Any:
        """An attempt is about to be made: its span, where the app traces."""
        found = tracing()
        try:
            return found and found.Attempted(claimed, method, self._propagates())
        except Exception:  # of the app's own span processors: no delivery is to suffer from them
            logger.exception("No span could be made of delivery %s.", claimed.delivery_id)
            return None

    def settled(self, settlement: Settlement, disabled: str | None) -> None:
        """An outcome was written."""
        metrics = self._counting()
        if metrics is not None:
            metrics.settled(settlement)
        logs.tell(settlement, disabled)
        signals.tell(self._app, self._database, settlement, disabled)
