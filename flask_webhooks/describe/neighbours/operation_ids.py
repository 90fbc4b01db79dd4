"""Makes operationIds unique over two documents, without a change to the first.

Source: OpenAPI Specification 3.1.1, "Operation Object", operationId.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


def with_free_ids(host: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``added`` in which no operationId is one of the host's.

    The views come first, so that a document which holds them already gives the others the same.
    """
    result = copy.deepcopy(dict(added))
    theirs = {operation.get("operationId") for operation in operations(host)}
    mine = [operation for operation in operations(result) if "operationId" in operation]
    taken = theirs | {operation["operationId"] for operation in mine}
    for operation in mine:
        if operation["operationId"] in theirs:
            operation["operationId"] = _free(operation["operationId"], taken)
            taken.add(operation["operationId"])
    return result


def _free(wish: str, taken: set[str | None]) -> str:
    count = 2
    while f"{wish}{count}" in taken:
        count += 1
    return f"{wish}{count}"


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation: those of the views, then those of callbacks, webhooks and components."""
    views = list(_of_items(document.get("paths")))
    yield from views
    for view in views:
        for callback in (view.get("callbacks") or {}).values():
            yield from _of_items(callback)
    for field in ("webhooks", "x-webhooks"):
        yield from _of_items(document.get(field))
    for callback in ((document.get("components") or {}).get("callbacks") or {}).values():
        yield from _of_items(callback)


def _of_items(items: Any) -> Iterator[dict[str, Any]]:
    for item in items.values() if isinstance(items, Mapping) else ():
        if isinstance(item, Mapping):
            yield from (item[m] for m in _METHODS if isinstance(item.get(m), dict))
