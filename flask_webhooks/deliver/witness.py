"""What a worker tells, and to whom: the one seam for signals, logs, numbers and traces."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from ..store.claims import Claimed, Settlement
from .outcome import Outcome
from .signer import Headers


class Begun(Protocol):
    """An attempt that somebody looks at."""

    @property
    def headers(self) -> Headers:
        """What is to be sent besides."""

    def ended(self, outcome: Outcome) -> None:
        """It was made."""


class Witness(Protocol):
    """Is told what a worker does; by default it takes no notice."""

    def fanned_out(self, names: Counter[str]) -> None:
        """Messages became deliveries: how many of each webhook."""

    def began(self, claimed: Claimed, method: str) -> Begun | None:
        """An attempt is about to be made; on any thread, and many at once."""
        return None

    def settled(self, settlement: Settlement, disabled: str | None) -> None:
        """An outcome was written.

        :param disabled: why that disabled the subscription, if it did.
        """
