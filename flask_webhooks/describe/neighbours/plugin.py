"""The plugin by which a host built on apispec, such as flask-smorest, shows our webhooks too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apispec import APISpec, BasePlugin

Merge = Callable[[dict[str, Any]], dict[str, Any]]


class WebhooksPlugin(BasePlugin):
    """Merges into what ``spec.to_dict()`` returns, each time that it is asked.

    :param merge: takes the host's document and returns the merged one.
    """

    def __init__(self, merge: Merge) -> None:
        self._merge = merge

    def init_spec(self, spec: APISpec) -> None:
        """Called by apispec when the spec is made.

        apispec has no word for webhooks, and its own helpers see a path before later views are
        declared: what it hands out is the one place where all is known.
        """
        super().init_spec(spec)
        original: Callable[[], dict[str, Any]] = spec.to_dict
        spec.to_dict = lambda: self._merge(original())  # type: ignore[method-assign]
