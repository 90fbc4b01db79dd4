"""Names of webhooks, and patterns of them: ``booking.*`` is all that begin with ``booking.``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from ..exceptions import UnknownWebhookError, WebhooksError


def is_pattern(name: str) -> bool:
    """Whether it stands for more than one name: ``*`` alone, or after a dot at the end."""
    return name == "*" or name.endswith(".*")


def matches(pattern: str, name: str) -> bool:
    """Whether a name, or a pattern, is one of those that ``pattern`` stands for."""
    if not is_pattern(pattern):
        return pattern == name
    return name.startswith(pattern[:-1])


def patterns_of(name: str) -> list[str]:
    """All that a subscription may say to get a webhook.

    Input: ``"a.b.c"``. Output: ``["a.b.c", "*", "a.*", "a.b.*"]``.
    """
    parts = name.split(".")[:-1]
    return [name, "*", *(".".join(parts[: n + 1]) + ".*" for n in range(len(parts)))]


def distinct(names: Iterable[str]) -> list[str]:
    """The names without those that another of them stands for, in their order.

    A message then reaches a subscription by one name at most.
    """
    found = list(dict.fromkeys(names))
    return [n for n in found if not any(o != n and matches(o, n) for o in found)]


def wanted(names: Collection[str], name: str) -> bool:
    """Whether who asked for ``names`` gets the webhook ``name``."""
    return any(matches(pattern, name) for pattern in names)


def check_wanted(names: Collection[str], declared: Collection[str]) -> None:
    """Judge the names and patterns that a subscription wants.

    :raises UnknownWebhookError: nothing of this name is declared, or nothing matches.
    """
    if not names:
        raise WebhooksError("names= is empty: name the webhooks that the URL wants.")
    for name in names:
        if not is_pattern(str(name)):
            if name not in declared:
                raise unknown(name, declared)
        elif not any(matches(name, one) for one in declared):
            raise UnknownWebhookError(f"No webhook matches {name!r}. {_told(declared)}")


def to_try(names: Collection[str], declared: Collection[str], name: str | None) -> str:
    """The webhook that a subscription is tried with: ``name``, or the first that it wants.

    :raises UnknownWebhookError: the subscription does not want it.
    """
    found = [one for one in declared if wanted(names, one)]
    if name is None and found:
        return found[0]
    if name is not None and name in found:
        return name
    raise UnknownWebhookError(f"The subscription wants {', '.join(names)}, and not {name or ''!r}.")


def unknown(name: str, declared: Collection[str]) -> UnknownWebhookError:
    """The error for a name that was not declared: which one may have been meant."""
    if "*" in str(name):
        hint = "A pattern is '*', or the beginning of names up to a dot and '.*'."
        return UnknownWebhookError(f"{name!r} is no pattern, and no name. {hint}")
    close = difflib.get_close_matches(str(name), declared, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else _told(declared)
    return UnknownWebhookError(f"No webhook or callback is named {name!r}. {hint}")


def _told(declared: Collection[str]) -> str:
    return f"Declared: {', '.join(sorted(declared)) or 'nothing'}."
