"""Records what is sent, as it would go on the wire, and says what was expected of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ..signals import message_stored
from ..store.records import Message

#: Members that a payload must have, at any depth; or a function that says whether it fits.
Where = Mapping[str, Any] | Callable[[Any], bool]


class Declared(Protocol):
    """The part of :class:`flask_webhooks.Webhooks` that knows what is declared."""

    def __contains__(self, name: object) -> bool: ...
    def __getitem__(self, name: str) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One message: ``payload`` is its JSON, as it was checked against the published schema."""

    id: str
    name: str
    payload: Any
    key: str | None
    tenant: str | None


class Recording:
    """What was sent while it ran, in order. Made by :meth:`flask_webhooks.Webhooks.record`.

    A claim about a name that nobody declared raises :class:`flask_webhooks.UnknownWebhookError`:
    that it was not sent would always be true.
    """

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._sent: list[Sent] = []

    def __iter__(self) -> Iterator[Sent]:
        return iter(tuple(self._sent))

    def __len__(self) -> int:
        return len(self._sent)

    def all(self, name: str | None = None) -> list[Sent]:
        """What was sent, of one webhook or of all."""
        if name is not None:
            _ = self._declared[name]
        return [one for one in self._sent if name in (None, one.name)]

    def one(self, name: str) -> Sent:
        """The only message of a webhook.

        :raises AssertionError: there is none, or more than one; shows all that was sent.
        """
        found = self.all(name)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} messages of {name!r} were sent, not one. {self}")
        return found[0]

    def assert_sent(
        self,
        name: str,
        *,
        where: Where | None = None,
        key: Any = None,
        tenant: str | None = None,
        times: int | None = None,
    ) -> None:
        """Assert that a webhook was sent, so often or at least once.

        :param where: members that its payload has, objects in it at any depth; or a function of
            the payload.
        :param key: the key it was sent with, compared as text.
        :raises AssertionError: shows all that was sent.
        """
        found = [
            one for one in self.all(name)
            if (where is None or _fits(one.payload, where))
            and (key is None or one.key == str(key))
            and (tenant is None or one.tenant == tenant)
        ]  # fmt: skip
        if len(found) != times if times is not None else not found:
            wanted = "at least once" if times is None else f"{times} times"
            told = _told(where=where, key=key, tenant=tenant)
            raise AssertionError(
                f"{name!r}{told} was to be sent {wanted}, and was {len(found)} times. {self}"
            )

    def assert_not_sent(self, name: str | None = None) -> None:
        """Assert that a webhook was not sent, or that none was.

        :raises AssertionError: shows all that was sent.
        """
        if found := self.all(name):
            raise AssertionError(f"{found[0].name!r} was not to be sent. {self}")

    def __str__(self) -> str:
        lines = [f"  {one.name} {json.dumps(one.payload)}{_options(one)}" for one in self._sent]
        return "\n".join(["Sent were:", *lines]) if lines else "Nothing was sent."


@contextmanager
def recording(declared: Declared) -> Iterator[Recording]:
    """Record every message of the webhooks that are declared there."""
    box = Recording(declared)

    def note(app: Any, message: Message, **extra: Any) -> None:
        if message.name in declared:
            box._sent.append(_sent(message))

    with message_stored.connected_to(note):
        yield box


def _sent(message: Message) -> Sent:
    return Sent(
        id=message.id,
        name=message.name,
        payload=json.loads(message.body),
        key=message.key,
        tenant=message.tenant,
    )


def _fits(payload: Any, where: Where) -> bool:
    if callable(where):
        return bool(where(payload))
    return isinstance(payload, Mapping) and all(
        name in payload
        and (_fits(payload[name], value) if isinstance(value, Mapping) else payload[name] == value)
        for name, value in where.items()
    )


def _told(**wanted: Any) -> str:
    given = [f"{name}={value!r}" for name, value in wanted.items() if value is not None]
    return f" with {', '.join(given)}" if given else ""


def _options(sent: Sent) -> str:
    return "".join(
        f" {name}={value!r}"
        for name, value in (("key", sent.key), ("tenant", sent.tenant))
        if value
    )
