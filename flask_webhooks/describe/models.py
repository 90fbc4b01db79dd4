"""Which kinds of schema there are: marshmallow, JSON Schema, and models of any other library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

import marshmallow


class Model(Protocol):
    """What a schema of another library has to offer."""

    def json_schema(self) -> Mapping[str, Any]:
        """A JSON Schema (2020-12) of what :meth:`dump` gives."""

    def dump(self, payload: Any) -> Any:
        """The JSON form of a payload."""


def is_marshmallow(schema: Any) -> bool:
    """Whether ``schema`` is a marshmallow class or instance."""
    return isinstance(schema, marshmallow.Schema) or (
        isinstance(schema, type) and issubclass(schema, marshmallow.Schema)
    )


def is_model(schema: Any) -> TypeGuard[Model]:
    """Whether ``schema`` has ``json_schema()`` and ``dump(payload)``."""
    return not is_marshmallow(schema) and all(
        callable(getattr(schema, name, None)) for name in ("json_schema", "dump")
    )
