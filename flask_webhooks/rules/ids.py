"""Identifiers that sort by the time they were made: UUIDv7 (RFC 9562, 5.7) with a prefix."""

from __future__ import annotations

import os
from collections.abc import Callable


def new_id(prefix: str, now: float, randbytes: Callable[[int], bytes] = os.urandom) -> str:
    """A new identifier such as ``msg_0199…``: the prefix and 32 hexadecimal digits.

    :param now: unix time in seconds.
    """
    random = int.from_bytes(randbytes(10), "big")
    high, low = random >> 68, random & ((1 << 62) - 1)
    value = (int(now * 1000) << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low
    return f"{prefix}_{value:032x}"


def first_id(prefix: str, when: float) -> str:
    """What no identifier that was made at ``when`` or later sorts before.

    :param when: unix time in seconds.
    """
    return f"{prefix}_{int(when * 1000) << 80:032x}"
