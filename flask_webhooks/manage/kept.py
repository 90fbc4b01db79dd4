"""Keeps what was made of a description until there is another description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..state import State

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """Something that is made once for each description, not for each request.

    :param make: makes it; called again when something was declared since.
    """

    def __init__(self, state: State, make: Callable[[], Made]) -> None:
        self._state = state
        self._make = make
        self._kept: tuple[object, Made] | None = None

    def get(self) -> Made:
        """What was made of the description as it is now."""
        description = self._state.description
        kept = self._kept
        if kept is None or kept[0] is not description:
            # Two threads may both make it; that costs time once, and a lock would cost it always.
            self._kept = kept = (description, self._make())
        return kept[1]
