"""Echoes of private texts in what a receiver answered: found in the spellings of the web."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, quote_plus

from .privacy import HIDDEN

#: Shorter texts are hidden only where they stand as a word of their own.
_SHORT = 4
#: As many characters at the end of an answer may be the beginning of a text that was cut off.
_BEGINNING = 3


def spellings(text: str) -> frozenset[str]:
    """A text as it stands, and as JSON, HTML and URLs write it."""
    return frozenset({
        text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1],
        escape(text), quote(text, errors="replace"), quote(text, safe="", errors="replace"),
        quote_plus(text, errors="replace"),
    })  # fmt: skip


def decoded(answer: bytes) -> str:
    """The first bytes of an answer as text: UTF-8, cut off anywhere, or else Latin-1."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(answer)
    except UnicodeDecodeError:
        return answer.decode("latin-1")


def without(texts: Iterable[str], answer: str) -> str:
    """An answer in which every private text is hidden, also one that was cut off at its end."""
    found = {one for text in texts if text.strip() for one in spellings(text)}
    if not found:
        return answer
    ordered = sorted(found, key=len, reverse=True)
    pattern = "|".join(map(_pattern, ordered))
    hidden = re.sub(pattern, HIDDEN, answer, flags=re.IGNORECASE)
    cuts = [place for one in ordered if (place := _cut(one, hidden)) is not None]
    return hidden[: min(cuts)] + HIDDEN if cuts else hidden


def _pattern(text: str) -> str:
    return rf"(?<!\w){re.escape(text)}(?!\w)" if len(text) < _SHORT else re.escape(text)


def _cut(text: str, answer: str) -> int | None:
    """Where the end of an answer begins that is the beginning of a text."""
    last = answer[-len(text) + 1 :] if len(text) > _BEGINNING else ""
    start = re.escape(text[:_BEGINNING])
    for match in re.finditer(f"(?={start})", last, re.IGNORECASE):
        rest = last[match.start() :]
        if text[: len(rest)].lower() == rest.lower():
            return len(answer) - len(rest)
    return None
