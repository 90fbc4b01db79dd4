"""What delivers in this process: a worker, its thread, or a dispatcher; made anew after a fork."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .config import Settings
from .declarations import Webhook
from .exceptions import ConfigurationError
from .store.database import Database
from .store.records import Attempt, Message

if TYPE_CHECKING:
    # These rooms bring requests, TLS and cryptography: they are entered on first need.
    from .deliver.dispatcher import Dispatcher, Publish
    from .deliver.judging import Policy
    from .deliver.ownership import Ownership
    from .deliver.retracing import Sent
    from .deliver.transport import Transport
    from .deliver.witness import Witness
    from .deliver.worker import Worker
    from .rules.sealing import KeyRing

logger = logging.getLogger("flask_webhooks")


class Delivering:
    """One app's delivering half. Nothing of it begins before it is needed.

    :param app: the Flask app.
    :param declared: gives every declaration, whenever it is asked.
    :param witness: is told what the worker does.
    :param settings: gives the settings, whenever it is asked; so do the next three.
    """

    def __init__(
        self,
        app: Any,
        database: Database,
        declared: Callable[[], Sequence[Webhook]],
        *,
        witness: Witness,
        settings: Callable[[], Settings],
        keyring: Callable[[], KeyRing],
        transport: Callable[[], Transport],
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._database = database
        self._declared = declared
        self._witness = witness
        self._settings = settings
        self._keyring = keyring
        self._transport = transport
        self._clock = clock
        self._lock = threading.RLock()
        self._pid = 0
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._dispatcher: Dispatcher | None = None
        self._publish: Publish | None = None
        if settings().worker == "celery":
            self._publish = self._celery_engine()

    def forget(self) -> None:
        """Let the next to come be made anew, as the settings have changed."""
        with self._lock:
            self._worker = self._thread = self._dispatcher = None

    def _forget_parent(self) -> None:
        # Not told by a hook: uWSGI runs none after its forks.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self.forget()

    # The worker and its thread

    @property
    def worker(self) -> Worker:
        """The worker of this process; another after a fork."""
        with self._lock:
            self._forget_parent()
            if self._worker is None:
                with self._app.app_context():
                    # A session of the app tells its engine only in here; the worker is a thread.
                    self._database.engine  # noqa: B018
                self._worker = self._make_worker()
            return self._worker

    def start_worker(self) -> None:
        """Start the worker thread of this process, once."""
        with self._lock:
            worker = self.worker
            if self._thread is None or not self._thread.is_alive():
                run = partial(worker.run, kind="thread")
                self._thread = threading.Thread(target=run, name="webhooks", daemon=True)
                self._thread.start()
                atexit.register(_stop_at_exit, weakref.ref(worker), weakref.ref(self._thread))

    def wake(self) -> None:
        """Say that there may be something to deliver. Commit hooks call it, so it never raises."""
        try:
            if self._publish is not None:
                self.dispatcher.wake()
            elif self._settings().worker == "thread":
                self.start_worker()
                self.worker.wake()
        except Exception:
            logger.exception("The worker could not be started; what is stored stays stored.")

    def _make_worker(self) -> Worker:
        from .deliver.worker import Worker, lease_for

        settings = self._settings()
        return Worker(
            database=self._database,
            keyring=self._keyring,
            transport=self._transport(),
            policy_of=self._policy_of,
            witness=self._witness,
            user_agent=_user_agent(),
            message_signatures=settings.message_signatures,
            ownership=self._ownership(),
            host_rate=settings.host_rate,
            most_pending=settings.pending_per_subscription,
            retention=settings.retention,
            threads=settings.worker_threads,
            per_subscription=settings.subscription_concurrency,
            disable_after=settings.disable_after,
            lease=lease_for(settings.timeout),
            clock=self._clock,
        )

    def _ownership(self) -> Ownership | None:
        from .deliver.ownership import Ownership

        settings = self._settings()
        kind = settings.ownership_check
        return kind and Ownership(kind=kind, origin=settings.origin or self._app.name)

    def _policy_of(self, name: str) -> Policy:
        from .deliver.judging import Policy

        settings = self._settings()
        webhook = next((w for w in self._declared() if w.name == name), None)
        return Policy(
            method=webhook.method if webhook else "POST",
            answers=webhook.declared_answers if webhook else ("2XX",),
            schedule=webhook and webhook.schedule or settings.schedule,
            timeout=settings.timeout,
        )

    # Look

    def sent(self, message: Message, deliveries: Sequence[int]) -> Callable[[Attempt], Sent]:
        """What gives the headers of each attempt of some deliveries of a message."""
        from .deliver.retracing import retraced
        from .deliver.signer import Signer
        from .store.browsing import carried_by

        settings, method = self._settings(), self._policy_of(message.name).method
        signer = Signer(self._keyring, _user_agent(), settings.message_signatures)
        carried = self._database.read(
            lambda c: carried_by(c, self._database.tables, message, deliveries)
        )

        def sent(attempt: Attempt) -> Sent:
            delivery = carried.get(attempt.delivery_id)
            return retraced(signer, delivery, method, attempt, settings.propagate_trace)

        return sent

    # An engine

    def publish_by(self, publish: Publish) -> None:
        """Let an engine's workers deliver: it is given the ids of what is due."""
        with self._lock:
            self._publish = publish
            self._dispatcher = None

    @property
    def dispatcher(self) -> Dispatcher:
        """What gives the engine its ids, in this process; another after a fork.

        :raises ConfigurationError: there is no engine.
        """
        from .deliver.dispatcher import Dispatcher

        if self._publish is None:
            raise ConfigurationError(
                "No engine delivers for this app: set WEBHOOKS_WORKER to 'celery', or name the "
                "function that publishes by webhooks.publish_by(…)."
            )
        with self._lock:
            self._forget_parent()
            if self._dispatcher is None:
                self._dispatcher = Dispatcher(self.worker, self._publish, self._clock)
            return self._dispatcher

    def deliver(self, delivery_ids: Sequence[int]) -> None:
        """Make the deliveries that an engine was given."""
        with self._app.app_context():
            self.worker.deliver(delivery_ids)

    @property
    def has_engine(self) -> bool:
        """Whether an engine's workers deliver."""
        return self._publish is not None

    def _sweep(self) -> None:
        """Have what is due published, by a Celery worker, which is seen from then on."""
        self.wake()
        if self._worker is not None:
            self._worker.presence.arrive("celery")

    def _leave(self) -> None:
        if self._worker is not None and self._pid == os.getpid():
            self._worker.presence.leave()

    def _celery_engine(self) -> Publish:
        try:
            from .deliver.engines.celery import celery_engine
        except ImportError as error:
            raise ConfigurationError(
                "WEBHOOKS_WORKER is 'celery', but Celery is not installed: "
                "pip install 'Flask-Webhooks[celery]'."
            ) from error
        from .deliver.worker import lease_for

        settings = self._settings()
        return celery_engine(
            settings.celery or self._app.extensions.get("celery"),
            name=self._app.name,
            deliver=self.deliver,
            wake=self.wake,
            sweep=self._sweep,
            leave=self._leave,
            lease=lease_for(settings.timeout),
        )


def _user_agent() -> str:
    return f"Flask-Webhooks/{version('Flask-Webhooks')}"


def _stop_at_exit(worker: weakref.ref[Worker], thread: weakref.ref[threading.Thread]) -> None:
    """Let a daemon thread settle what is under way before the interpreter goes."""
    running, its_thread = worker(), thread()
    if running is not None and its_thread is not None and its_thread.is_alive():
        running.stop()
        its_thread.join(2.0)
