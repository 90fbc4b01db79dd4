"""What describing an app gives: the document, and the published payload schema of each webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .converter import JSONSchema
from .references import reachable, references


@dataclass(frozen=True, kw_only=True)
class Description:
    """A finished description."""

    #: The document as JSON.
    text: str
    #: By the webhook's name; usually a reference to a component.
    payloads: Mapping[str, JSONSchema]

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document; not to be changed."""
        return self.fresh()

    def fresh(self) -> dict[str, Any]:
        """A copy of the document that its caller may change."""
        copy: dict[str, Any] = json.loads(self.text)
        return copy

    @property
    def components(self) -> Mapping[str, JSONSchema]:
        """The document's component schemas."""
        found: Mapping[str, JSONSchema] = self.document.get("components", {}).get("schemas", {})
        return found

    def standalone(self, name: str) -> JSONSchema:
        """The published payload schema of a webhook, with all that it refers to in it."""
        schema = self.payloads[name]
        used = sorted(reachable(references(schema), self.components))
        if not used:
            return schema
        schemas = {component: self.components[component] for component in used}
        return {**schema, "components": {"schemas": schemas}}
