"""Python regular expressions as JSON Schema's ``pattern``, where they can be said there."""

from __future__ import annotations

import re

import jsonschema_rs

_REPLACED = {r"\A": "^", r"\Z": "$"}
_PIECES = re.compile(r"\\.|\(\?P<\w+>", re.DOTALL)


def pattern_of(regex: re.Pattern[str] | str, *, whole: bool = False) -> str | None:
    """The ``pattern`` that accepts what ``regex`` matches from the start; ``None`` without one.

    :param whole: what it matches from the start to the end.

    Flags, references to named groups and Python's own syntax have no form in ECMA-262.
    """
    compiled = re.compile(regex)
    if compiled.flags & ~re.UNICODE or "(?P=" in compiled.pattern:
        return None
    text = _PIECES.sub(lambda piece: _REPLACED.get(piece[0], _plain(piece[0])), compiled.pattern)
    anchored = text if text.startswith("^") and "|" not in text else f"^(?:{text})"
    anchored += "$" if whole else ""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": anchored})
    except ValueError:
        return None
    return anchored


def _plain(piece: str) -> str:
    return "(" if piece.startswith("(?P<") else piece
