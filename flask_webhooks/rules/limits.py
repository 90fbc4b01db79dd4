"""How many live subscriptions there may be, so that nobody makes a weapon of the sender."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many live subscriptions there may be; ``None`` sets no limit."""

    per_host: int | None = None
    captured_per_tenant: int | None = None
