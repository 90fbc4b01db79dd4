"""Where in the source each part of an app's own document was declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..declarations import Place, Webhook
from .reading import At
from .routes import Route


def places(declared: Sequence[Webhook], routes: Sequence[Route]) -> dict[At, Place]:
    """The place of each webhook, operation and callback, by where it stands in the document."""
    found: dict[At, Place] = {("webhooks", webhook.name): webhook.place for webhook in declared}
    for route in routes:
        at = ("paths", route.path, route.method.lower())
        if route.operation is not None:
            found[at] = route.operation.place
        found |= {(*at, "callbacks", one.name): one.place for one in route.callbacks}
    return found


def place_of(at: At, known: Mapping[At, Place]) -> Place | None:
    """The place of the nearest known part that ``at`` stands in."""
    parts = (known.get(at[:length]) for length in range(len(at), 0, -1))
    return next((place for place in parts if place is not None), None)
