"""What changed in the promises about deliveries, which are the same for every webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..promises import readable
from ..reading import listed, members
from .change import Change

_FIELD = "x-webhooks-delivery"
#: What a receiver has less time for, when it gets shorter.
_TIMES = {"timeout": "timeout", "disableAfter": "disabled after"}


def of_delivery(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Times and attempts; the public keys are none of it, since each installation has its own."""
    before, after = members(old, _FIELD), members(new, _FIELD)
    if not before or not after:
        return
    for field, path in _TIMES.items():
        was, now = before.get(field), after.get(field)
        if isinstance(was, int | float) and isinstance(now, int | float) and was != now:
            yield _change(path, f"{readable(was)} became {readable(now)}", breaks=now < was)
    tries = len(listed(before, "retrySchedule")), len(listed(after, "retrySchedule"))
    if tries[0] != tries[1]:
        yield _change("attempts", f"{tries[0]} became {tries[1]}", breaks=tries[1] < tries[0])


def _change(path: str, what: str, *, breaks: bool) -> Change:
    return Change(kind="delivery", name="every webhook", path=path, what=what, breaks=breaks)
