"""Everything of one app: settings, store, document and worker. Made by ``init_app``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Settings
from .declarations import Callback, Webhook
from .delivering import Delivering
from .emit import emit
from .exceptions import ConfigurationError, WebhooksError
from .key_file import key_file
from .looking import Looking
from .operating import Operating
from .rules import echoes
from .rules.filter_checks import check_filter
from .rules.ids import new_id
from .rules.patterns import wanted
from .rules.privacy import UNKNOWN, Privacy
from .store import adding, lists
from .store.database import Database
from .store.lists import Backlog
from .store.records import Message, Subscription, microseconds
from .store.tables import Tables
from .subscribing import Subscribing
from .telling import Telling, counts_together, sent
from .telling.signals import tell_of_message

if TYPE_CHECKING:
    # These rooms bring apispec, marshmallow, requests, TLS and cryptography: they are entered on
    # first need.
    from .deliver.transport import Transport
    from .deliver.worker import Worker
    from .describe.contracts import Contract
    from .describe.openapi import Description
    from .describe.routes import Route
    from .rules.sealing import KeyRing
    from .telling.metrics import Metrics

_KEY_FILE = "webhooks.key"
_DATABASE_FILE = "webhooks.sqlite3"


class State:
    """One app's half of the extension.

    :param app: the Flask app.
    :param declared: gives every declaration, whenever it is asked.
    :param session: the app's session, if messages are to be written in its transactions.
    :param tables: what the store is made of; the app's own metadata may hold them.
    :param siblings: gives the states of all apps that the same declarations serve.
    """

    def __init__(
        self,
        app: Any,
        settings: Settings,
        declared: Callable[[], Sequence[Webhook]],
        session: Any,
        tables: Tables,
        siblings: Callable[[], Collection[State]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if session is not None and settings.database_uri:
            raise ConfigurationError(
                "WEBHOOKS_DATABASE_URI is set and a session was given: messages could not be "
                "written in the session's transactions. Drop one of the two."
            )
        self.app = app
        self.settings = settings
        self.clock = clock
        self._declared = declared
        self._siblings = siblings
        self.database = Database(tables, uri=self._database_uri(), session=session)
        self._lock = threading.RLock()
        self._strays: list[str] = []
        self._described: tuple[tuple[int, int], Description, list[Route]] | None = None
        #: By endpoint and method; asked for at every request of the app.
        self._callbacks: Mapping[tuple[str | None, str], tuple[Callback, ...]] = {}
        self._contracts: dict[str, Contract] = {}
        self._telling = Telling(
            app, self.database, lambda: self.settings.propagate_trace, lambda: self.counted()
        )
        self.delivering = Delivering(
            app,
            self.database,
            declared,
            witness=self._telling,
            settings=lambda: self.settings,
            keyring=lambda: self.keyring,
            transport=self.transport,
            clock=lambda: self.clock(),
        )

    def _database_uri(self) -> str:
        default = f"sqlite:///{Path(self.app.instance_path) / _DATABASE_FILE}"
        return self.settings.database_uri or default

    @cached_property
    def keyring(self) -> KeyRing:
        """The keys that seal secrets and sign captured callbacks."""
        from .rules.sealing import KeyRing

        keys = self.settings.secret_keys or (key_file(Path(self.app.instance_path) / _KEY_FILE),)
        return KeyRing(keys)

    # Describe

    @property
    def routes(self) -> list[Route]:
        """The views that carry a declaration."""
        return self._description()[1]

    def callbacks_of(self, endpoint: str | None, method: str) -> tuple[Callback, ...]:
        """The callbacks that the view behind ``endpoint`` declares for ``method``."""
        self._description()
        return self._callbacks.get((endpoint, method), ())

    @property
    def description(self) -> Description:
        """The document and the payload schemas; built anew when something was declared since."""
        return self._description()[0]

    def document(self) -> dict[str, Any]:
        """A fresh copy of the document."""
        return self.description.fresh()

    def merge_into(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A new document: that of another OpenAPI tool, with what this app declares in it."""
        from .describe.neighbours.merge import merge_into

        description, marked = self._description()
        documented = {(route.path, route.method.lower()) for route in marked if route.operation}
        return merge_into(document, description.document, documented=documented)

    def asyncapi(self) -> dict[str, Any]:
        """A fresh AsyncAPI 3.0 document of what the document says is sent."""
        from .describe.asyncapi import asyncapi

        return asyncapi(self.description.document, url=self.settings.openapi_url)

    def _description(self) -> tuple[Description, list[Route]]:
        declared = self._declared()
        known = (len(declared), len(self.app.url_map._rules))
        with self._lock:
            if self._described is None or self._described[0] != known:
                described, marked = self._describe(declared)
                self._described = (known, described, marked)
                self._callbacks = {(r.endpoint, r.method): r.callbacks for r in reversed(marked)}
                self._contracts.clear()
            return self._described[1], self._described[2]

    def _describe(self, declared: Sequence[Webhook]) -> tuple[Description, list[Route]]:
        from .describe.neighbours.clashes import check_urls
        from .describe.openapi import describe
        from .describe.routes import routes

        check_urls(self.app)
        marked = routes(self.app, declared)
        captures = any(isinstance(webhook, Callback) for webhook in declared)
        keys = [key.public for key in self.keyring.signing_keys] if captures else []
        info = {"title": self.settings.title or self.app.name, "version": self.settings.version}
        if self.settings.description:
            info["description"] = self.settings.description
        described = describe(
            declared,
            marked,
            info=info,
            promises=self._promises(),
            public_keys=keys,
            openapi_version=self.settings.openapi_version,
            extra=self.settings.document,
            elsewhere=self._carried_elsewhere(declared) if captures else (),
        )
        return described, marked

    def _carried_elsewhere(self, declared: Sequence[Webhook]) -> list[Callback]:
        others = [state for state in self._siblings() if state is not self]
        return [callback for state in others for callback in state.carried(declared)]

    def carried(self, declared: Sequence[Webhook]) -> list[Callback]:
        """The callbacks among ``declared`` that this app's views carry."""
        from .describe.routes import routes

        return [c for route in routes(self.app, declared) for c in route.callbacks]

    def _promises(self) -> Any:
        from .describe.promises import Promises

        return Promises(
            timeout=self.settings.timeout,
            schedule=self.settings.schedule,
            disable_after=self.settings.disable_after,
            keys_url=self.settings.keys_url,
        )

    def contract(self, webhook: Webhook) -> Contract:
        """What payloads of ``webhook`` must be."""
        description = self.description
        return self._contracts.get(webhook.name) or self._made_contract(webhook, description)

    def _made_contract(self, webhook: Webhook, description: Description) -> Contract:
        from .describe.contracts import Contract

        with self._lock:
            if webhook.name not in self._contracts:
                published = description.payloads[webhook.name]
                self._contracts[webhook.name] = Contract(
                    webhook.name, webhook.schema, published, description.components
                )
            return self._contracts[webhook.name]

    # Ask and change

    @property
    def subscribing(self) -> Subscribing:
        """What makes and changes subscriptions, at this moment."""
        return Subscribing(
            database=self.database,
            keyring=self.keyring,
            rules=self.settings.url_rules(),
            limits=self.settings.limits(),
            declared=[webhook.name for webhook in self._declared()],
            check_filter=self._check_filter,
            now=self.clock(),
        )

    def _check_filter(self, given: Any, names: Sequence[str]) -> str:
        schemas = {n: s for n, s in self.description.payloads.items() if wanted(names, n)}
        return check_filter(given, schemas, self.description.components)

    @property
    def operating(self) -> Operating:
        """What acts on subscriptions, deliveries and messages, at this moment."""
        return Operating(database=self.database, wake=self.wake, now=self.clock())

    # Emit

    def emit(
        self, webhook: Webhook, payload: Any, *, as_json: bool = False, **options: Any
    ) -> Message:
        """Store one message of ``webhook``.

        :param as_json: the payload is in its JSON form already, and is not dumped.
        :param options: ``key``, ``tenant`` and ``idempotency_key``.
        """
        contract = self.contract(webhook)
        message = sent(
            webhook.name,
            lambda trace: emit(
                webhook,
                payload,
                encode=contract.encode_json if as_json else contract.encode,
                database=self.database,
                wake=self.wake,
                now=self.clock(),
                trace=trace,
                **options,
            ),
        )
        tell_of_message(self.app, message)
        return message

    def emit_for_one(self, webhook: Webhook, subscription: Subscription) -> Message:
        """Store an example message for one subscription alone."""
        now = self.clock()
        body = self.contract(webhook).encode_json(self.example(webhook))

        def store(trace: str | None) -> Message:
            return self.database.write(
                lambda c: adding.add_for_one(
                    c, self.database.tables, new_id("msg", now), name=webhook.name,
                    tenant=subscription.tenant, body=body, subscription_id=subscription.id,
                    now=microseconds(now), trace=trace,
                )
            )  # fmt: skip

        message = sent(webhook.name, store)
        self.wake()
        tell_of_message(self.app, message)
        return message

    def example(self, webhook: Webhook) -> Any:
        """An example payload in its JSON form: the declared one, or one made by the schema."""
        from .describe.examples import example_of

        for example in (webhook.documentation.examples or {}).values():
            return example
        return example_of(self.description.payloads[webhook.name], self.description.components)

    # Look

    @property
    def looking(self) -> Looking:
        """What reads deliveries and the like, at this moment."""
        return Looking(database=self.database, now=self.clock())

    def privacy(self, name: str) -> Privacy:
        """What is private in payloads of the webhook ``name``; all, when it isn't declared."""
        described = self.description
        if name not in described.payloads:
            return UNKNOWN
        return Privacy(described.payloads[name], described.components)

    def shown_payload(self, name: str, body: bytes) -> Any:
        """The payload of a message of the webhook ``name`` as people may see it: without what is
        marked private.
        """
        return self.privacy(name).masked(json.loads(body))

    def shown_answer(self, name: str, body: bytes, excerpt: bytes | None) -> str | None:
        """What a receiver answered to a message, without what is private in that message.

        :param body: of the message.
        :param excerpt: of an attempt.
        """
        if excerpt is None:
            return None
        private = self.privacy(name).texts(json.loads(body))
        return echoes.without(private, echoes.decoded(excerpt))

    def counted(self) -> Metrics:
        """What this process counts, from the first call on, and what the store says.

        :raises ConfigurationError: prometheus-client is not installed.
        """
        with self._lock:
            if self._telling.metrics is None:
                self._telling.metrics = self._metrics()
            return self._telling.metrics

    def _metrics(self) -> Metrics:
        try:
            from .telling.metrics import Metrics
        except ImportError as error:
            raise ConfigurationError(
                "Metrics need prometheus-client: pip install 'Flask-Webhooks[metrics]'."
            ) from error

        def backlog() -> Backlog:
            now = microseconds(self.clock())
            with self.app.app_context():
                return self.database.read(lambda c: lists.backlog(c, self.database.tables, now))

        return Metrics(
            lambda: [webhook.name for webhook in self._declared()],
            backlog,
            together=counts_together(),
        )

    # Deliver

    @property
    def worker(self) -> Worker:
        """The worker of this process; another after a fork."""
        return self.delivering.worker

    def transport(self) -> Transport:
        """A new transport by the settings: the only way out."""
        from .deliver.staying import StayingTransport
        from .deliver.transport import Transport

        settings = self.settings
        make: Callable[..., Transport] = partial(Transport, proxy=settings.proxy)
        if settings.allow_outside is False:
            make = partial(StayingTransport, note=self._strays.append)
        return make(
            settings.url_rules(),
            response_limit=settings.response_limit,
            verify=settings.ca_bundle or True,
            client_cert=settings.client_cert,
        )

    def run_until_idle(self) -> None:
        """Deliver, in this process and before returning, all that is due now.

        :raises WebhooksError: in a test something was to leave the machine; nothing did.
        """
        self.worker.run_until_idle()
        strays = sorted(set(self._strays))
        self._strays.clear()
        if strays:
            raise WebhooksError(
                f"Nothing leaves the machine in this test, and {', '.join(strays)} was to be "
                "called. Subscribe the fixture webhook_receiver instead; or, if you mean it, set "
                "WEBHOOKS_ALLOW_OUTSIDE = True."
            )

    def use(self, settings: Settings) -> None:
        """Go by other settings from now on; for tests, where no worker is at work yet."""
        self.settings = settings
        self.delivering.forget()

    def wake(self) -> None:
        """Say that there may be something to deliver. Commit hooks call it, so it never raises."""
        self.delivering.wake()
