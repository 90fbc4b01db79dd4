"""One change, and the spot in a request that tells it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

#: What is told about a request or a schema, and never sent.
WORDING = ("title", "description", "default", "example", "examples", "deprecated", "$comment")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that changed.

    ``path`` is a JSON path in the payload, such as ``$.items[].price``, or names what else of the
    request changed, such as ``header webhook-id``; ``""`` is the request as a whole.
    """

    kind: str
    name: str
    path: str
    what: str
    breaks: bool
    #: Whether only words about the request changed, and nothing that is sent.
    wording: bool = False


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A place in a request that is compared, and how a reader finds it."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    #: Component schemas that are the same in both documents, with all that they refer to.
    steady: frozenset[str]
    kind: str
    name: str
    path: str = ""
    #: Which of several alternatives this is.
    among: str = ""
    #: How often each pair of schemas was entered in this request, and which are entered now.
    visits: Counter[tuple[str, str]] = field(default_factory=Counter)
    above: frozenset[tuple[str, str]] = frozenset()

    def breaks(self, what: str) -> Change:
        return self._change(what, breaks=True)

    def ok(self, what: str) -> Change:
        return self._change(what, breaks=False)

    def wording(self, what: str) -> Change:
        return replace(self._change(what, breaks=False), wording=True)

    def _change(self, what: str, *, breaks: bool) -> Change:
        told = f"{what} (where it is {self.among})" if self.among else what
        return Change(kind=self.kind, name=self.name, path=self.path, what=told, breaks=breaks)

    def at(self, path: str) -> Spot:
        return replace(self, path=path)

    def inside(self, step: str) -> Spot:
        return replace(self, path=self.path + step)

    def backwards(self) -> Spot:
        """The same place, for what goes from the receiver to the sender."""
        return replace(self, old=self.new, new=self.old, visits=Counter(), above=frozenset())


def of_words(
    spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any], more: Sequence[str] = ()
) -> Iterator[Change]:
    """Changes of mere words."""
    for word in (*more, *WORDING):
        if old.get(word) != new.get(word):
            yield spot.wording(f"{word} changed")


def of_need(spot: Spot, old: Any, new: Any) -> Iterator[Change]:
    """A change of whether something is always there."""
    if old is True and new is not True:
        yield spot.breaks("was required, and may be missing now")
    elif new is True and old is not True:
        yield spot.ok("is always there now")


def as_text(value: Any) -> str:
    """A value as JSON that is the same text for all that is the same value."""
    return json.dumps(whole(value), sort_keys=True, ensure_ascii=False, default=str)


def whole(value: Any) -> Any:
    """A number without a fraction as an integer: in JSON Schema ``1.0`` is ``1``."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
