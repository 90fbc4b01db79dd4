"""What the API takes and gives, as marshmallow schemas: its JSON, and its part of the document."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from ...rules.failures import reason_shown
from ...rules.retry import LONGEST_DELAY
from ...store.records import SETTLED_STATUSES, STATUSES


class _Body(Schema):
    """What comes in: an unknown member is an error."""

    class Meta:
        unknown = RAISE


class _Flag(fields.Boolean):
    """True or false, and not what looks like them."""

    def _deserialize(self, value: object, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Number(fields.Float):
    """A number, and not a text that looks like one."""

    def _deserialize(self, value: object, *args: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return float(super()._deserialize(value, *args, **kwargs) or 0.0)


class _Reason(fields.String):
    """Why a delivery stands as it does; what failed, by its class."""

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        return reason_shown(value)


class _Second(fields.DateTime):
    """A time without its fraction, which would tell a refused connection from a blocked one."""

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        cut = None if value is None else value.replace(microsecond=0)
        return super()._serialize(cut, *args, **kwargs)


_ID = {"description": "Its id."}
_ORDERS = ["skip", "park"]


def _url(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, 2000), metadata={"format": "uri"}, **options)


def _names(**options: Any) -> fields.List[Any]:
    return fields.List(
        fields.String(validate=validate.Length(1, 200)),
        validate=validate.Length(1, 100),
        metadata={"description": "Names of webhooks, or patterns such as `booking.*`."},
        **options,
    )


def _filter() -> fields.Dict:
    words = "What a payload must hold, by path."
    return fields.Dict(allow_none=True, metadata={"description": words, "minProperties": 1})


def _headers() -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        allow_none=True,
        metadata={"description": "What every delivery carries besides. It is kept sealed."},
    )


def _schedule() -> fields.List[Any]:
    return fields.List(
        _Number(validate=validate.Range(0, LONGEST_DELAY)),
        allow_none=True,
        validate=validate.Length(1, 50),
        metadata={"description": "Seconds before each attempt."},
    )


def _rate() -> _Number:
    return _Number(
        allow_none=True,
        validate=validate.Range(0, 1e6, min_inclusive=False),
        metadata={"description": "Requests a second at most."},
    )


def _order() -> fields.String:
    return fields.String(allow_none=True, validate=validate.OneOf(_ORDERS))


class Catalogued(Schema):
    """A webhook that can be subscribed to."""

    name = fields.String(required=True)
    summary = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    payload_schema = fields.Dict(required=True, data_key="schema")
    example = fields.Raw()


class Catalogue(Schema):
    """Every webhook."""

    data = fields.List(fields.Nested(Catalogued), required=True)


class NewSubscription(_Body):
    """A URL, and what it wants."""

    url = _url(required=True)
    names = _names(required=True)
    key = fields.String(validate=validate.Length(1, 200), allow_none=True)
    filter = _filter()
    headers = _headers()
    schedule = _schedule()
    rate = _rate()
    order = _order()


class ChangedSubscription(_Body):
    """What is to be different; what is left out stays, and null takes back."""

    url = _url()
    names = _names()
    filter = _filter()
    headers = _headers()
    schedule = _schedule()
    rate = _rate()
    order = _order()


class SubscriptionShape(Schema):
    """A subscription."""

    id = fields.String(required=True, metadata=_ID)
    url = fields.String(required=True)
    names = fields.List(fields.String(), required=True)
    key = fields.String(required=True, allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf(["enabled", "disabled"]))
    reason = fields.String(required=True, allow_none=True)
    filter = fields.Dict(required=True, allow_none=True)
    schedule = fields.List(
        fields.Float(), required=True, allow_none=True, attribute="terms.schedule"
    )
    rate = fields.Float(required=True, allow_none=True, attribute="terms.rate")
    order = fields.String(required=True, allow_none=True, attribute="terms.order")
    callback = fields.String(required=True, allow_none=True)
    created_at = fields.DateTime(required=True, data_key="createdAt")
    expires_at = fields.DateTime(required=True, allow_none=True, data_key="expiresAt")


class SubscriptionWithHeaders(SubscriptionShape):
    """A subscription with the names of the headers that it asked for."""

    headers = fields.List(
        fields.String(),
        required=True,
        allow_none=True,
        metadata={"description": "Their values are never shown."},
    )


class SubscriptionWithSecret(SubscriptionWithHeaders):
    """A subscription with its secret, which is shown here and never again."""

    secret = fields.String(required=True)


class MessageShape(Schema):
    """A message."""

    id = fields.String(required=True, metadata=_ID)
    name = fields.String(required=True)
    key = fields.String(required=True, allow_none=True)
    created_at = fields.DateTime(required=True, data_key="createdAt")


class MessageWithPayload(MessageShape):
    """A message with its payload."""

    payload = fields.Raw(required=True)


class DeliveryShape(Schema):
    """One message to one subscription."""

    id = fields.Integer(required=True, metadata=_ID)
    message_id = fields.String(required=True, data_key="messageId")
    subscription_id = fields.String(required=True, data_key="subscriptionId")
    name = fields.String(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf(STATUSES),
    )
    reason = _Reason(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    due_at = _Second(required=True, data_key="dueAt")
    created_at = fields.DateTime(required=True, data_key="createdAt")
    settled_at = _Second(required=True, allow_none=True, data_key="settledAt")


class HeaderShape(Schema):
    """A header of a request."""

    name = fields.String(required=True)
    value = fields.String(
        required=True, allow_none=True, metadata={"description": "Null where it is a secret."}
    )


class SentShape(Schema):
    """The headers of an attempt, in the order in which they were sent."""

    headers = fields.List(fields.Nested(HeaderShape), required=True)
    words = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What is to be said of them, such as why they are not all."},
    )


class AttemptShape(Schema):
    """One HTTP try of a delivery."""

    number = fields.Integer(required=True)
    succeeded = fields.Boolean(required=True)
    status_code = fields.Integer(required=True, allow_none=True, data_key="statusCode")
    failure = fields.String(
        required=True, allow_none=True, metadata={"description": "Its class, such as `timeout`."}
    )
    words = fields.String(required=True, allow_none=True)
    answer = fields.String(
        required=True, allow_none=True, metadata={"description": "The first bytes of the answer."}
    )
    sent = fields.Nested(SentShape, required=True)
    started_at = _Second(required=True, data_key="startedAt")
    seconds = fields.Float(required=True, allow_none=True)


class DeliveryWithAttempts(DeliveryShape):
    """A delivery, why it stands as it does, and its attempts, newest first."""

    explanation = fields.String(required=True)
    attempts_made = fields.List(fields.Nested(AttemptShape), required=True, data_key="attemptsMade")


def listed(item: type[Schema]) -> type[Schema]:
    """The page of a list: its items, and the cursor of the next page."""
    name = item.__name__.removesuffix("Shape") + "Page"
    page = {
        "data": fields.List(fields.Nested(item), required=True),
        "next": fields.String(
            required=True, allow_none=True, metadata={"description": "`cursor` of the next page."}
        ),
    }
    made: type[Schema] = type(name, (Schema,), {**page, "__doc__": f"{name}."})
    return made


SubscriptionPage = listed(SubscriptionShape)
MessagePage = listed(MessageShape)
DeliveryPage = listed(DeliveryShape)


class Replay(_Body):
    """Which deliveries to make again; at least one member besides `dryRun`."""

    message = fields.String(data_key="messageId")
    subscription = fields.String(data_key="subscriptionId")
    name = fields.String()
    status = fields.String(validate=validate.OneOf(SETTLED_STATUSES))
    since = fields.AwareDateTime()
    until = fields.AwareDateTime()
    dry_run = _Flag(load_default=False, data_key="dryRun")

    @validates_schema
    def _has_a_filter(self, data: dict[str, object], **_: object) -> None:
        if set(data) == {"dry_run"}:
            raise ValidationError("Name what to replay, such as a status.")


class Recovery(_Body):
    """From when on to deliver again what was not delivered."""

    since = fields.AwareDateTime(required=True)
    dry_run = _Flag(load_default=False, data_key="dryRun")


class Rotation(_Body):
    """How long the secret before goes on signing."""

    overlap = _Number(
        load_default=86400.0,
        validate=validate.Range(0, 30 * 86400),
        metadata={"description": "Seconds."},
    )


class Trial(_Body):
    """What to send as a test."""

    name = fields.String(
        allow_none=True, metadata={"description": "A webhook; by default the first it wants."}
    )


class Counted(Schema):
    """How many deliveries."""

    count = fields.Integer(required=True)
    dry_run = fields.Boolean(required=True, data_key="dryRun")


class Explained(Schema):
    """Why a message did, or did not, reach a subscription."""

    code = fields.String(required=True)
    words = fields.String(required=True)
    delivery_id = fields.Integer(required=True, allow_none=True, data_key="deliveryId")


class Problem(Schema):
    """Problem details (RFC 9457)."""

    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)
    rule = fields.String(metadata={"description": "Of a refused URL: the rule that it breaks."})
    errors = fields.Dict()
