"""The Celery engine: one task that delivers, and a sweep in every Celery worker.

The task acknowledges late and survives the loss of its worker; it has no result and no ETA, since
the row says when to come again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, bootsteps

from ...exceptions import ConfigurationError
from ..dispatcher import AGAIN, Publish

TASK = "flask_webhooks.deliver"
#: Seconds between two sweeps of one Celery worker.
SWEEP_EVERY = 5.0


def celery_engine(
    celery: Any,
    *,
    name: str,
    deliver: Callable[[Sequence[int]], None],
    wake: Callable[[], None],
    sweep: Callable[[], None],
    leave: Callable[[], None],
    lease: float,
) -> Publish:
    """Register the task and the sweep on a Celery app.

    :param name: of the Flask app; several may share one Celery app.
    :param deliver: makes deliveries, in a Celery worker.
    :param wake: has what is due published, from a thread of its own; so does ``sweep``, which is
        called now and then by a Celery worker.
    :param leave: is called when a Celery worker ends.
    :param lease: seconds that a delivery is leased for.
    :raises ConfigurationError: ``celery`` is no Celery app.
    """
    if not isinstance(celery, Celery):
        raise ConfigurationError(
            "WEBHOOKS_WORKER is 'celery', but there is no Celery app: initialize Celery first, so "
            "that it is at app.extensions['celery'], or set WEBHOOKS_CELERY."
        )

    @celery.task(  # type: ignore[untyped-decorator]
        name=f"{TASK}.{name}",
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=True,
        soft_time_limit=lease,
    )
    def task(delivery_ids: list[int]) -> None:
        try:
            deliver(delivery_ids)
        finally:
            wake()  # what follows is not to wait for the next sweep

    class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
        """Publishes what is due every now and then: what a broker lost, and retries."""

        requires = ("celery.worker.components:Timer",)

        def start(self, parent: Any) -> None:
            self.entry = parent.timer.call_repeatedly(SWEEP_EVERY, sweep)

        def stop(self, parent: Any) -> None:
            self.entry.cancel()
            leave()

    celery.steps["worker"].add(Sweep)

    def publish(delivery_ids: list[int]) -> None:
        task.apply_async((delivery_ids,), expires=AGAIN, retry=False, ignore_result=True)

    return publish
