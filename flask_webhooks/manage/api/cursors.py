"""Cursors of the API's lists: a place in one tenant's list, signed so that nobody makes one up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from ...store.lists import Position


class Cursors:
    """Writes and reads cursors.

    :param keys: newest first.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._serializer = URLSafeSerializer(list(reversed(keys)), salt="cursor")

    def write(self, whose: tuple[str, str | None], position: Position) -> str:
        """A cursor.

        :param whose: the list that it is for, and the tenant.
        """
        text: str | bytes = self._serializer.dumps([*whose, *position])
        return text if isinstance(text, str) else text.decode()

    def read(self, whose: tuple[str, str | None], cursor: str) -> Position | None:
        """The position again; ``None`` when the cursor was not written for that list and tenant."""
        try:
            kind, tenant, created_at, row_id = self._serializer.loads(cursor)
        except (BadSignature, ValueError, TypeError):
            return None
        found: tuple[Any, Any] = (created_at, row_id)
        return found if (kind, tenant) == whose else None
