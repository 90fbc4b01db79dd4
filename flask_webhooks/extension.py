"""The one door: declare on it, ``init_app`` with it, and ask it what became of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import WeakSet

from blinker import Signal
from flask import Blueprint, Flask, current_app, has_app_context

from .adoption import adopt
from .arguments import (
    check_documentation,
    check_method,
    check_name,
    check_shared,
    check_shown,
    check_when,
    in_seconds,
    own_schedule,
    seconds,
    template,
    url_templates,
)
from .declarations import (
    Callback,
    Documentation,
    Operation,
    Responses,
    SchemaLike,
    Webhook,
    again,
    caller,
)
from .door import EXTENSION, state_of
from .exceptions import ConfigurationError, DeclarationError, WebhooksError
from .reports import Erasure, Explanation
from .rules.options import LegacySignature, Options
from .rules.patterns import to_try, unknown
from .rules.terms import Terms
from .store.records import (
    Attempt,
    Delivery,
    Message,
    Owned,
    RunningWorker,
    Subscription,
    identity,
    microseconds,
)

if TYPE_CHECKING:
    from .state import State
    from .store.lists import Standing
    from .store.tables import Tables
    from .testing.recording import Recording

TenantLoader = TypeVar("TenantLoader", bound=Callable[[], str | None])
Declared = TypeVar("Declared", bound=Webhook)


class Webhooks:
    """The extension. Declarations live on the instance; what belongs to one app, on the app.

    :param app: an app to :meth:`init_app` at once.
    :param session: see :meth:`init_app`.
    """

    def __init__(self, app: Flask | None = None, *, session: Any = None) -> None:
        self._declared: dict[str, Webhook] = {}
        self._tenant_loader: Callable[[], str | None] | None = None
        self._session = session
        self._portals: list[Blueprint] = []
        self._tables: Tables | None = None
        # Weak: apps come and go, and none is held here.
        self._states: WeakSet[State] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, session: Any = None) -> None:
        """Read the app's ``WEBHOOKS_*`` settings, serve the document and add ``flask webhooks``.

        Nothing is started and no database is opened here. Views and declarations may follow.

        :param session: a ``Session``, ``scoped_session`` (Flask-SQLAlchemy's ``db.session`` is one)
            or ``Connection``: messages are then written in its transactions, so that commit sends
            and rollback leaves nothing. Without it the extension keeps a database of its own.
        :raises ConfigurationError: a setting is unknown or unusable, or the app has the extension
            already.
        """
        # All that an app needs is imported here: who only declares needs none of it.
        from .installing import install

        if EXTENSION in app.extensions:
            raise ConfigurationError(
                f"{app.name} already has Flask-Webhooks. Call init_app once for each app."
            )
        state = install(
            app,
            self,
            session=self._session if session is None else session,
            tables=self._tables,
            siblings=lambda: tuple(self._states),
            tenant_loader=lambda: self._tenant_loader,
        )
        self._states.add(state)

    def attach(self, metadata: Any, *, prefix: str = "webhooks_") -> None:
        """Put the tables into the app's own ``MetaData``, for its migrations to make and change.

        Call it before :meth:`init_app`. Flask-Migrate then sees them as it sees the app's models;
        nothing here makes tables any more.

        :param metadata: with Flask-SQLAlchemy ``db.metadata``.
        :param prefix: begins the name of every table, index and constraint.
        :raises ConfigurationError: an app was initialized already, or they are attached already.
        """
        from .store.tables import make_tables

        if self._tables is not None or self._states:
            raise ConfigurationError(
                "attach() comes too late, or twice: call it once, before the first init_app()."
            )
        self._tables = make_tables(metadata, prefix)

    # Declare

    def webhook(
        self,
        name: str,
        schema: SchemaLike = None,
        *,
        method: str = "POST",
        shown_as: str | None = None,
        summary: str | None = None,
        description: str | None = None,
        operation_id: str | None = None,
        tags: Sequence[str] = (),
        responses: Responses | None = None,
        parameters: Sequence[Mapping[str, Any]] = (),
        examples: Mapping[str, Any] | None = None,
        deprecated: bool = False,
        security: Sequence[Mapping[str, Sequence[str]]] | None = None,
        schedule: Sequence[float] | None = None,
        on: Signal | None = None,
        payload: Callable[..., Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Webhook:
        """Declare a webhook: an outgoing request that subscriptions ask for by name.

        :param schema: what a payload is: a marshmallow schema (class or instance), a JSON Schema as
            a dict, or any object with ``json_schema()``, which returns a JSON Schema, and
            ``dump(payload)``, which returns the JSON form that it describes.
        :param shown_as: its name in the document, by default ``name``. Webhooks of other methods
            may be shown under the same.
        :param responses: the answers that count as success, ``{200: "in words"}``; by default any
            2xx.
        :param examples: payloads by name, as they are sent; each must fit the schema.
        :param schedule: delays in seconds, one before each attempt, instead of
            ``WEBHOOKS_SCHEDULE``.
        :param on: a signal that the app or another extension already sends: each sending of it is a
            :meth:`Webhook.send <flask_webhooks.Webhook.send>`.
        :param payload: makes the payload out of that signal's arguments, called as a receiver would
            be: ``payload(sender, **arguments)``. By default the argument ``payload`` is taken.
        :param extra: merged last into the OpenAPI Operation Object, objects in it key by key.
        :raises DeclarationError: the name is taken, or an argument can't work.
        """
        documentation = Documentation(
            summary=summary, description=description, operation_id=operation_id, tags=tags,
            responses=responses, parameters=parameters, examples=examples, deprecated=deprecated,
            security=security, extra=extra,
        )  # fmt: skip
        declared = Webhook(
            name=check_name(name, "webhook"),
            schema=schema,
            method=check_method(method),
            shown_as=check_shown(shown_as, "webhook"),
            documentation=check_documentation(documentation, f"webhook {name!r}"),
            signal=Signal(f"Send the webhook {name}."),
            place=caller(),
            door=self,
            schedule=own_schedule(schedule, repr(name)),
        )
        return self._declare(declared, on, payload)

    def callback(
        self,
        name: str,
        expression: str | Sequence[str],
        schema_or_webhook: SchemaLike | Webhook,
        *,
        key: str | None = None,
        secret: str | None = None,
        when: int | str = "2XX",
        once: bool = False,
        expires: float | timedelta | None = None,
        method: str | None = None,
        shown_as: str | None = None,
        shared: bool = False,
        summary: str | None = None,
        description: str | None = None,
        operation_id: str | None = None,
        tags: Sequence[str] = (),
        responses: Responses | None = None,
        parameters: Sequence[Mapping[str, Any]] = (),
        examples: Mapping[str, Any] | None = None,
        deprecated: bool = False,
        security: Sequence[Mapping[str, Sequence[str]]] | None = None,
        schedule: Sequence[float] | None = None,
        on: Signal | None = None,
        payload: Callable[..., Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Callback:
        """Declare a callback: a webhook whose URL is taken out of the decorated view's live calls.

        :param expression: where the URL stands: an OpenAPI runtime expression such as
            ``{$request.body#/callbackUrl}``. A list names several places: each URL that a call
            gives is captured.
        :param schema_or_webhook: what a payload is; or a declared webhook, which then reaches the
            captured URL as well.
        :param key: an expression for what the URL was captured for; ``send`` then needs ``key=``.
        :param secret: an expression for a ``whsec_…`` secret that the client may give.
        :param when: which answers of the view capture: a status code, or a class such as ``"2XX"``.
        :param once: whether a captured URL takes one message only.
        :param expires: for how long a captured URL takes messages, in seconds.
        :param shown_as: its name in the document, by default ``name``. Callbacks of other
            expressions or methods may be shown under the same.
        :param shared: whether the document has it once, in ``components.callbacks``, and each
            operation refers to it.
        :raises ExpressionError: an expression is not in the grammar; shows where and what to write.
        :raises DeclarationError: the name is taken, or an argument can't work.
        """
        webhook = schema_or_webhook if isinstance(schema_or_webhook, Webhook) else None
        documentation = Documentation(
            summary=summary, description=description, operation_id=operation_id, tags=tags,
            responses=responses or (webhook.documentation.responses if webhook else None),
            parameters=parameters, examples=examples, deprecated=deprecated, security=security,
            extra=extra,
        )  # fmt: skip
        declared = Callback(
            name=check_name(name, "callback"),
            schema=webhook.schema if webhook else schema_or_webhook,
            method=check_method(method or (webhook.method if webhook else "POST")),
            shown_as=check_shown(shown_as, "callback"),
            documentation=check_documentation(documentation, f"callback {name!r}"),
            signal=Signal(f"Send the callback {name}."),
            place=caller(),
            door=self,
            schedule=own_schedule(schedule, repr(name)),
            expressions=url_templates(expression, f"callback {name!r}"),
            key=template(key),
            secret=template(secret),
            when=check_when(when),
            once=once,
            expires=seconds(expires),
            shared=check_shared(shared, name),
            webhook=webhook,
        )
        return self._declare(declared, on, payload)

    def operation(
        self,
        *,
        summary: str | None = None,
        description: str | None = None,
        operation_id: str | None = None,
        tags: Sequence[str] = (),
        request: SchemaLike = None,
        responses: Responses | None = None,
        parameters: Sequence[Mapping[str, Any]] = (),
        deprecated: bool = False,
        security: Sequence[Mapping[str, Sequence[str]]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Document a view itself: what it takes and what it answers.

        :param request: the schema of its JSON body.
        :param responses: ``{200: "in words", 201: SomeSchema, "4XX": {…}}``, where ``{…}`` is an
            OpenAPI Response Object.
        :param extra: merged last into the OpenAPI Operation Object.
        """
        documentation = Documentation(
            summary=summary, description=description, operation_id=operation_id, tags=tags,
            responses=responses, parameters=parameters, deprecated=deprecated, security=security,
            extra=extra,
        )  # fmt: skip
        documentation = check_documentation(documentation, "operation")
        return Operation(documentation=documentation, request=request, place=caller())

    def tenant_loader(self, loader: TenantLoader) -> TenantLoader:
        """Name the function that says whose request this is: a tenant or ``None``, or it aborts."""
        self._tenant_loader = loader
        return loader

    def __getitem__(self, name: str) -> Webhook:
        """The webhook or callback that was declared under ``name``.

        :raises UnknownWebhookError: there is none; says which one may have been meant.
        """
        try:
            return self._declared[name]
        except KeyError:
            raise unknown(name, self._declared) from None

    def __contains__(self, name: object) -> bool:
        return name in self._declared

    def __iter__(self) -> Iterator[Webhook]:
        return iter(tuple(self._declared.values()))

    def _declare(
        self, declared: Declared, on: Signal | None, payload: Callable[..., Any] | None
    ) -> Declared:
        known = self._declared.get(declared.name)
        if known is not None and not again(known, declared):
            raise DeclarationError(
                f"{declared.name!r} is declared twice: at {known.place} and at {declared.place}. "
                "Give the second another name, or use webhooks[…] to find the first."
            )
        if isinstance(known, type(declared)):
            return known
        if payload is not None and on is None:
            raise DeclarationError(
                f"{declared.name}: payload= maps the arguments of a signal; name it by on=."
            )
        self._declared[declared.name] = declared
        declared.signal.connect(declared.receive, weak=False)
        if on is not None:
            adopt(on, declared, payload, initialized=lambda app: EXTENSION in app.extensions)
        return declared

    # What declarations need of the door

    def current_app(self) -> Flask:
        """The app at hand.

        :raises WebhooksError: there is no app context, or the app was not initialized.
        """
        if not has_app_context():
            raise WebhooksError(
                "No app is at hand. Outside of a request do it in 'with app.app_context(): …'."
            )
        return current_app._get_current_object()  # type: ignore[attr-defined, no-any-return]

    def emit(
        self,
        app: Flask,
        webhook: Webhook,
        payload: Any,
        *,
        key: Any,
        tenant: str | None,
        idempotency_key: str | None,
    ) -> Message:
        """Store one message; what both ``send`` and a declaration's own signal lead to."""
        return state_of(app).emit(
            webhook, payload, key=key, tenant=tenant, idempotency_key=idempotency_key
        )

    # Ask and change

    def subscribe(
        self,
        url: str,
        names: Sequence[str],
        *,
        tenant: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        legacy_signatures: Sequence[LegacySignature] = (),
        filter: Mapping[str, Any] | None = None,
        schedule: Sequence[float] | None = None,
        rate: float | None = None,
        order: Literal["skip", "park"] | None = None,
        idempotency_key: str | None = None,
    ) -> Subscription:
        """Make a subscription: ``url`` gets the named webhooks from now on.

        :param names: of webhooks; ``"booking.*"`` is all whose names begin with ``booking.``, also
            those that are declared later, and ``"*"`` is all.
        :param tenant: gets the messages of this tenant only.
        :param key: gets the messages with this key only.
        :param secret: a ``whsec_…`` secret to sign with; a new one by default.
        :param headers: what every delivery carries besides the standard headers, such as
            ``{"Authorization": "Bearer …"}``; kept sealed, as the secret is.
        :param legacy_signatures: signatures besides the standard ones, for a receiver that
            verifies as it did with another sender.
        :param filter: what a payload must hold to be delivered: ``{"customer.country": "DE",
            "total": {"gte": 100}}``. See :doc:`/delivering`.
        :param schedule: delays in seconds, one before each attempt, instead of the webhook's own.
        :param rate: requests a second at most, from each worker process.
        :param order: deliver in the order of sending, key by key, each only when the one before has
            ended. After one that was given up, ``"skip"`` goes on with the next, and ``"park"``
            waits until it is replayed or cancelled.
        :param idempotency_key: a second call with the same one, for the same tenant, makes nothing
            and returns the first subscription with its secret.
        :returns: the subscription with its secret, which is shown here and never again.
        :raises RefusedURLError: the URL breaks a rule; says which.
        :raises RefusedHeaderError: a header breaks a rule; says which.
        :raises FilterError: the filter is malformed, or names a field that no payload has.
        :raises UnknownWebhookError: a name was not declared.
        """
        return self._state.subscribing.subscribe(
            url,
            [names] if isinstance(names, str) else list(names),
            tenant=tenant,
            key=None if key is None else str(key),
            secret=secret,
            options=Options.of(headers, legacy_signatures),
            terms=Terms.of(schedule=schedule, rate=rate, order=order),
            filter=filter,
            idempotency_key=idempotency_key,
        )

    def change(
        self,
        subscription: Subscription | str,
        *,
        url: str | None = None,
        names: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None | EllipsisType = ...,
        schedule: Sequence[float] | None | EllipsisType = ...,
        rate: float | None | EllipsisType = ...,
        order: Literal["skip", "park"] | None | EllipsisType = ...,
        headers: Mapping[str, str] | None | EllipsisType = ...,
        expected: Subscription | None = None,
    ) -> Subscription:
        """Change a subscription; what is not given stays, and ``None`` takes back.

        What waits goes to the new URL. Names and a filter decide about what is sent from now on.

        :param headers: replace all that were asked for before.
        :param expected: what the subscription was when you read it.
        :raises ConflictError: it is no longer as ``expected``.
        :raises WebhooksError: there is no such subscription, or a value can't work; the classes
            are those of :meth:`subscribe`.
        """
        terms = {"schedule": schedule, "rate": rate, "order": order}
        return self._state.subscribing.change(
            identity(subscription),
            url=url,
            names=names,
            filter=filter,
            terms={k: v for k, v in terms.items() if not isinstance(v, EllipsisType)},
            headers=headers,
            expected=expected,
        )

    def header_names(self, subscription: Subscription | str) -> tuple[str, ...]:
        """The names of the headers that a subscription asked for; their values are never shown."""
        return self._state.subscribing.header_names(identity(subscription))

    def test(self, subscription: Subscription | str, name: str | None = None) -> Message:
        """Send one subscription an example payload, and nobody else.

        :param name: of a webhook; by default the first that the subscription wants.
        :returns: the message, which is delivered as any other.
        :raises UnknownWebhookError: the subscription does not want it.
        """
        found = self._state.subscribing.find(identity(subscription))
        return self._state.emit_for_one(self[to_try(found.names, self._declared, name)], found)

    def unsubscribe(self, subscription: Subscription | str) -> bool:
        """Delete a subscription with its deliveries; whether there was one."""
        return self._state.operating.unsubscribe(identity(subscription))

    def disable(self, subscription: Subscription | str) -> bool:
        """Let a subscription take no more deliveries, cancel what waits; whether it was enabled."""
        return self._state.operating.disable(identity(subscription))

    def enable(self, subscription: Subscription | str) -> bool:
        """Let a disabled subscription take deliveries again; whether it was disabled.

        What was cancelled meanwhile stays so: :meth:`replay` sends it.
        """
        return self._state.operating.enable(identity(subscription))

    def rotate(
        self,
        subscription: Subscription | str,
        *,
        secret: str | None = None,
        overlap: float | timedelta = timedelta(days=1),
    ) -> Subscription:
        """Give a subscription another secret; for a while the one before signs as well.

        A receiver that has either of the two verifies every delivery meanwhile.

        :param secret: a ``whsec_…`` secret; a new one by default.
        :param overlap: for how long, in seconds; 0 ends the one before at once.
        :returns: the subscription with its new secret, which is shown here and never again.
        :raises SecretError: the secret is malformed, or the one before doesn't open.
        """
        return self._state.subscribing.rotate(
            identity(subscription), secret=secret, overlap=in_seconds(overlap)
        )

    def reseal(self) -> int:
        """Seal every stored secret with the newest of ``WEBHOOKS_SECRET_KEYS``; how many were not.

        Afterwards the older keys seal nothing any more. They still sign captured callbacks while
        they stand in the list, so give receivers time to fetch the new public key.

        :raises SecretError: a secret doesn't open with any of the keys; nothing is changed then.
        """
        return self._state.subscribing.reseal()

    def tenant_secret(self, tenant: str) -> str:
        """The tenant's own ``whsec_…`` secret: it verifies what goes to URLs that its calls gave.

        It is derived from the newest key of ``WEBHOOKS_SECRET_KEYS``, and changes with it.
        """
        return self._state.keyring.tenant_secrets(tenant)[0]

    def subscriptions(
        self,
        *,
        name: str | None = None,
        key: str | None = None,
        tenant: str | None = None,
        limit: int | None = None,
    ) -> list[Subscription]:
        """Subscriptions, newest first; each filter given must match.

        :param limit: as many at most.
        """
        return self._state.looking.subscriptions(name=name, key=key, tenant=tenant, limit=limit)

    def deliveries(
        self,
        *,
        message: Message | str | None = None,
        subscription: Subscription | str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> list[Delivery]:
        """Deliveries, newest first; each filter given must match.

        :param limit: as many at most; a busy shop has millions.
        """
        return self._state.looking.deliveries(
            message=identity(message),
            subscription=identity(subscription),
            status=None if status is None else str(status),
            limit=limit,
        )

    def attempts(self, delivery: Delivery | int) -> list[Attempt]:
        """The attempts of one delivery, newest first."""
        return self._state.looking.attempts(identity(delivery))

    def standing(self) -> Standing:
        """How the queue stands: what waits, what is due and for how long, what failed."""
        return self._state.looking.standing()

    def workers(self) -> list[RunningWorker]:
        """The workers that were seen within the last minute, the oldest first."""
        return self._state.looking.workers()

    def explain(self, message: Message | str, subscription: Subscription | str) -> Explanation:
        """Say why a message did, or did not, reach a subscription: a code and a sentence.

        :raises WebhooksError: one of them is not known.
        """
        from .explaining import explain

        state = self._state
        found = explain(state.database, identity(message), identity(subscription), state.clock())
        if found is None:
            raise WebhooksError(
                f"There is no message {identity(message)!r}, or no subscription "
                f"{identity(subscription)!r}: it was never made, or has been purged or deleted."
            )
        return found

    def replay(
        self,
        delivery: Delivery | int | None = None,
        *,
        message: Message | str | None = None,
        subscription: Subscription | str | None = None,
        name: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        tenant: Owned | None = None,
        dry_run: bool = False,
        told: Callable[[int], None] = lambda count: None,
    ) -> int:
        """Make settled deliveries due again, from the start of the schedule; the message id stays.

        Name at least one filter. Without ``status`` those that were not delivered are chosen, or,
        when one delivery is named, that one. Deliveries to disabled subscriptions are left out.

        :param since: with ``until``: bounds of the time when the delivery was made.
        :param tenant: only deliveries to this tenant's subscriptions; no filter by itself.
        :param dry_run: only count.
        :param told: is given how many were done, after each batch of a few hundred.
        :returns: how many deliveries.
        :raises WebhooksError: there is no filter, or a time has no zone.
        """
        return self._state.operating.replay(
            delivery=identity(delivery),
            message=identity(message),
            subscription=identity(subscription),
            name=name,
            status=None if status is None else str(status),
            since=since,
            until=until,
            tenant=tenant,
            dry_run=dry_run,
            told=told,
        )

    def cancel(self, delivery: Delivery | int) -> bool:
        """Give up a delivery that is pending or exhausted; :meth:`replay` takes it up again.

        :returns: whether it was; one that is just under way can't be cancelled.
        """
        return self._state.operating.cancel(identity(delivery))

    def purge(self, older_than: float | timedelta | None = None, *, dry_run: bool = False) -> int:
        """Delete old messages with their deliveries and attempts; a worker does so by itself.

        What still waits for a delivery stays, whatever its age.

        :param older_than: an age in seconds; by default ``WEBHOOKS_RETENTION``.
        :param dry_run: only count.
        :returns: how many messages.
        :raises WebhooksError: no age is given, and none is set.
        """
        state = self._state
        age = state.settings.retention if older_than is None else in_seconds(older_than)
        return state.operating.purge(age, dry_run=dry_run)

    def erase(self, subject: str, *, name: str | None = None, dry_run: bool = False) -> Erasure:
        """Remove a person from what is stored, while sending goes on.

        A message is about the person when a private field of it, or its key, is ``subject``. Then
        all that is private in it is replaced by markers, and so is the key; what was not delivered
        is cancelled and can't be replayed; what receivers answered is blanked, as it is elsewhere
        where it holds the text. Receivers, backups and subscriptions are not reached.

        :param subject: what names the person, such as an address; compared exactly.
        :param name: of the only webhook to look at.
        :param dry_run: only count.
        :raises WebhooksError: the subject is empty, or no text.
        """
        from .erasing import Eraser

        state = self._state
        return Eraser(
            subject, name=name, dry_run=dry_run, database=state.database, privacy=state.privacy,
            now=microseconds(state.clock()),
        ).run()  # fmt: skip

    def record(self) -> AbstractContextManager[Recording]:
        """For tests: record what is sent meanwhile, ``with webhooks.record() as box: …``.

        It is stored as always, and delivered only if the test delivers it. Recorded is the wire's
        JSON, checked against the published schema.
        """
        from .testing.recording import recording

        return recording(self)

    def run_until_idle(self) -> None:
        """Deliver, in this process and before returning, all that is due now.

        :raises WebhooksError: in a test a URL beyond this machine was to be called; names it. It
            was not called.
        """
        self._state.run_until_idle()

    def publish_by(self, publish: Callable[[list[int]], None]) -> Callable[[list[int]], None]:
        """Name the function that gives the current app's deliveries to an engine of yours.

        It gets the ids of a few due deliveries, and has a worker of the engine call
        :meth:`deliver` with them. It is called on a thread of its own, may block, and may raise:
        then the deliveries are due again. For Celery set ``WEBHOOKS_WORKER`` instead.
        """
        self._state.delivering.publish_by(publish)
        return publish

    def deliver(self, deliveries: Sequence[int]) -> None:
        """Make the deliveries that an engine was given, in this call, one after the other.

        What another has made or holds is left alone, so a task may run twice.
        """
        self._state.delivering.deliver(deliveries)

    def dispatch(self) -> int:
        """Give what is due to the engine, here and now; how many deliveries.

        With an engine of your own call it every few seconds, somewhere: it finds retries, and what
        the engine lost.

        :raises ConfigurationError: there is no engine.
        """
        return self._state.delivering.dispatcher.dispatch()

    def document(self) -> dict[str, Any]:
        """A fresh OpenAPI document of the current app.

        :raises DeclarationError: the declarations contradict each other or the URL map.
        """
        return self._state.document()

    def merge_into(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document of another OpenAPI tool, the host, with what the current app declares in it.

        A new dict; ``document`` stays as it was. The host's operations keep all that they say:
        callbacks and ``x-webhooks-emits`` are added to them, and where a view carries
        :meth:`operation` also what the host leaves out. Views that the host does not document are
        added whole. What clashes is renamed on our side: component names and operationIds. Merging
        twice is merging once.

        :param document: OpenAPI 3.1 or later; or 3.0, where the webhooks are ``x-webhooks``.
        :raises ConfigurationError: the document is of a version that has no callbacks.
        :raises DeclarationError: the host declares a webhook or callback of the same name.
        """
        return self._state.merge_into(document)

    def api(self, *, security: Sequence[Mapping[str, Sequence[str]]] | None = None) -> Blueprint:
        """The subscription API, for ``app.register_blueprint(webhooks.api(), url_prefix=…)``.

        Everybody sees and changes what belongs to the tenant that :meth:`tenant_loader` names for
        the request, or is refused by it.

        :param security: what the document says of every operation: how the asker proves who it is.
        :raises ConfigurationError: nobody says yet who is asking.
        """
        from .manage.api.blueprint import api

        loader = self._tenant_loader
        if loader is None:
            raise ConfigurationError(
                "The API needs to know who is asking: decorate a function that returns the tenant, "
                "or aborts, with @webhooks.tenant_loader, before webhooks.api()."
            )
        return api(self, loader, security)

    def board(self, access: Callable[[], str | None]) -> Blueprint:
        """The operator's pages: what was sent, what failed and why, and who is subscribed.

        ``app.register_blueprint(webhooks.board(access), url_prefix="/webhooks")``

        :param access: asked in every request: ``"read"``, ``"write"``, or ``None`` for whom there
            is nothing here (404). What it aborts with is a 404 as well, save a response of its own,
            such as a redirect to a log-in page.
        """
        from .manage.board.blueprint import board

        return board(self, access)

    def portal(self) -> Blueprint:
        """The same pages cut to one tenant, who comes by a :meth:`portal_link`.

        ``app.register_blueprint(webhooks.portal(), url_prefix="/portal")``
        """
        from .manage.board.blueprint import portal

        made = portal(self)
        self._portals.append(made)
        return made

    def portal_link(
        self, tenant: str | None, *, write: bool = True, expires: float | timedelta = 3600
    ) -> str:
        """A URL that lets who follows it first see, and change, what is this tenant's.

        It is good for one entry, so make it when it is asked for; :meth:`portal_revoke` takes it
        back.

        :param tenant: ``None`` shows what belongs to no tenant.
        :param write: whether its bearer may change anything.
        :param expires: for how long the link and what it opens last, in seconds.
        :raises ConfigurationError: the app has no portal.
        """
        from .manage.board.links import link

        return link(self._state, self._portals, tenant, write=write, expires=in_seconds(expires))

    def portal_revoke(self, tenant: str | None) -> int:
        """End every :meth:`portal_link` of a tenant, and what those that were followed opened.

        :param tenant: ``None`` ends those for what belongs to no tenant.
        :returns: how many there were.
        """
        from .manage.board.links import revoke

        return revoke(self._state, tenant)

    def metrics(self, allowed: Callable[[], bool]) -> Blueprint:
        """Prometheus metrics at ``/metrics``, for ``app.register_blueprint(webhooks.metrics(…))``.

        They are those of the process that answers, and of the store. Workers of their own answer
        for themselves: ``flask webhooks worker --metrics-port``. Register it after
        :meth:`init_app`; it counts from then on.

        :param allowed: says whether the request may see them; to anybody else there is no such URL.
        """
        from .manage.metrics import metrics

        return metrics(allowed)

    def apispec_plugin(self) -> Any:
        """A plugin for hosts built on apispec, which then show what is declared here.

        flask-smorest: ``Api(app, spec_kwargs={"extra_plugins": [webhooks.apispec_plugin()]})``.
        APIFlask: ``APIFlask(__name__, spec_plugins=[webhooks.apispec_plugin()])``.

        It does what :meth:`merge_into` does to the result of ``spec.to_dict()``, at each call, so
        what is declared later is seen. It relies on the host asking ``to_dict()`` of the very spec
        that it gave to the plugin's ``init_spec``, and on an app context when it asks.
        """
        from .describe.neighbours.plugin import WebhooksPlugin

        return WebhooksPlugin(self.merge_into)

    @property
    def _state(self) -> State:
        return state_of(self.current_app())
