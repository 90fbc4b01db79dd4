"""What was measured beside what was promised, and the table that tells whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table.

    :ivar bound: the value is at most that; ``None`` where nothing is promised.
    :ivar unit: empty for a ratio.
    """

    name: str
    value: float
    bound: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.bound is None or self.value <= self.bound


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that so large a part of all does not exceed."""
    return sorted(values)[max(ceil(part * len(values)) - 1, 0)]


def shown(value: float, unit: str) -> str:
    """Three digits: ``0.0123``, ``1.23``, ``12.3 ms``, ``1234``."""
    digits = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{digits} {unit}".rstrip()


def line(figure: Figure) -> str:
    bound = "" if figure.bound is None else f"<= {shown(figure.bound, figure.unit)}"
    verdict = "" if figure.bound is None else "holds" if figure.holds else "BROKEN"
    measured = shown(figure.value, figure.unit)
    return f"{figure.name:68}{measured:>12}{bound:>13}  {verdict:8}{figure.note}".rstrip()


def head() -> str:
    return f"{'':68}{'measured':>12}{'bound':>13}"
