"""Tells in numbers: Prometheus metrics of one process and its store, in a registry of their own.

Where ``PROMETHEUS_MULTIPROC_DIR`` is set, Prometheus' client counts in files of that folder.
"""

from __future__ import annotations

import logging
from collections import Counter as Counted
from collections.abc import Callable, Collection, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ..store.claims import Settlement
from ..store.lists import Backlog
from ..store.records import Attempt, DeliveryStatus

logger = logging.getLogger("flask_webhooks.metrics")

#: The label of what is no longer declared: names of webhooks must not grow without bound.
UNDECLARED = "undeclared"

_COUNTED = frozenset(
    ("webhooks_messages", "webhooks_attempts", "webhooks_attempt_duration_seconds")
    + ("webhooks_delivery_age_seconds",)
)
_ATTEMPT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_AGE = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200, 18000, 43200, 86400, 259200)


class Metrics:
    """What one process counts, and what the store says when it is asked.

    :param names: gives the names of the declared webhooks.
    :param backlog: asks the store; may raise.
    :param together: whether all processes with the same folder count together, and each tells it.
    """

    def __init__(
        self,
        names: Callable[[], Collection[str]],
        backlog: Callable[[], Backlog],
        together: bool = False,
    ) -> None:
        self._names = names
        self._met: set[str] = set()
        self.registry = CollectorRegistry()
        registry = None if together else self.registry
        self._messages = Counter(
            "webhooks_messages", "Messages that this process fanned out into deliveries.",
            ["webhook"], registry=registry,
        )  # fmt: skip
        self._attempts = Counter(
            "webhooks_attempts", "Attempts whose outcome this process wrote.",
            ["webhook", "outcome"], registry=registry,
        )  # fmt: skip
        self._duration = Histogram(
            "webhooks_attempt_duration_seconds", "From the beginning of an attempt to its outcome.",
            buckets=_ATTEMPT, registry=registry,
        )  # fmt: skip
        self._age = Histogram(
            "webhooks_delivery_age_seconds", "From the sending of a message to its acceptance.",
            buckets=_AGE, registry=registry,
        )  # fmt: skip
        if together:
            self.registry.register(_Together())
        self.registry.register(_Store(backlog))

    def fanned_out(self, names: Counted[str]) -> None:
        """Count messages."""
        for name, count in names.items():
            self._messages.labels(self._known(name)).inc(count)

    def settled(self, settlement: Settlement) -> None:
        """Count an attempt, if there was one."""
        attempt, claimed = settlement.attempt, settlement.claimed
        if attempt is None:
            return
        self._attempts.labels(self._known(claimed.name), outcome_class(attempt)).inc()
        self._duration.observe(attempt.duration)
        if settlement.status is DeliveryStatus.DELIVERED:
            ended = attempt.started_at.timestamp() + attempt.duration
            self._age.observe(max(ended - claimed.sent_at / 1e6, 0.0))

    def _known(self, name: str) -> str:
        if name not in self._met and name in self._names():
            self._met.add(name)
        return name if name in self._met else UNDECLARED

    def answer(self, accept: str) -> tuple[bytes, str]:
        """All of it, in the form that an ``Accept`` header prefers, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def serve(self, host: str, port: int) -> None:
        """Answer on a port of its own, from a thread, as long as the process lives.

        :raises OSError: the port is taken.
        """
        start_http_server(port, host, self.registry)


def outcome_class(attempt: Attempt) -> str:
    """One of a few words for what came of an attempt: ``accepted``, ``http_5xx``, ``timeout``, …"""
    if attempt.outcome == "refused":
        return f"http_{(attempt.status_code or 0) // 100}xx"
    return attempt.outcome


class _Together(Collector):
    """What all processes counted, out of their files; what else an app counts there is its own."""

    def __init__(self) -> None:
        self._files: Any = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._files.collect() if metric.name in _COUNTED)


class _Store(Collector):
    """The gauges, which are asked of the store whenever somebody looks."""

    def __init__(self, backlog: Callable[[], Backlog]) -> None:
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        try:
            found = self._backlog()
        except Exception:
            logger.exception("The store could not be asked: only what this process counts is told.")
            yield GaugeMetricFamily("webhooks_store_up", "Whether the store answered.", 0)
            return
        yield GaugeMetricFamily("webhooks_store_up", "Whether the store answered.", 1)
        yield GaugeMetricFamily("webhooks_pending", "Deliveries to be made yet.", found.pending)
        yield GaugeMetricFamily("webhooks_due", "Deliveries that should begin now.", found.due)
        yield GaugeMetricFamily(
            "webhooks_oldest_due_seconds", "For how long the oldest of them has been due.",
            found.oldest_due,
        )  # fmt: skip
        yield GaugeMetricFamily("webhooks_workers", "Workers that run.", found.workers)
        subscriptions = GaugeMetricFamily(
            "webhooks_subscriptions", "Subscriptions by status.", labels=["status"]
        )
        for status in ("enabled", "disabled"):
            subscriptions.add_metric([status], found.subscriptions.get(status, 0))
        yield subscriptions
