"""Where in the source each part of an app's own document was declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..declarations import Place, Webhook
from .reading import At
from .routes import Route


def places(declared: Sequence[Webhook], routes: Sequence[Route]) -> dict[At, Place]:
    """The place of each webhook, operation and callback, by where it stands in the document."""
    found: dict[At, Place] = {}
    for webhook in declared:
        _add(found, ("webhooks", webhook.shown), (webhook.method.lower(),), webhook)
    for route in routes:
        at = ("paths", route.path, route.method.lower())
        if route.operation is not None:
            found[at] = route.operation.place
        for one in route.callbacks:
            above: At = (*at, "callbacks", one.shown)
            if one.shared:
                above = ("components", "callbacks", one.name)
            for expression in one.expressions:
                _add(found, above, (expression.text, one.method.lower()), one)
    return found


def _add(found: dict[At, Place], above: At, below: At, declared: Webhook) -> None:
    """Note the place of an operation; what it shares with others has that of the first."""
    found[(*above, *below)] = declared.place
    for length in range(len(below)):
        found.setdefault((*above, *below[:length]), declared.place)


def place_of(at: At, known: Mapping[At, Place]) -> Place | None:
    """The place of the nearest known part that ``at`` stands in."""
    parts = (known.get(at[:length]) for length in range(len(at), 0, -1))
    return next((place for place in parts if place is not None), None)
