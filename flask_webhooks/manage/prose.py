"""Turns a written description into paragraphs of plain text and code, for templates to escape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Lines that begin an item stay lines of their own; CommonMark would make a list of them.
_ITEM = re.compile(r"[-*+] |\d{1,9}[.)] ")
_CODE = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A run of text in a paragraph; ``code`` where it stood in backticks."""

    text: str
    code: bool = False


Paragraph = tuple[Piece, ...]


def paragraphs(text: object) -> tuple[Paragraph, ...]:
    """Input: a description, which may hold CommonMark. Output: its paragraphs.

    Only blank lines, items and backticks are understood; everything else stays what it is.
    """
    blocks = re.split(r"\n[ \t]*\n", str(text or "").strip())
    return tuple(tuple(_pieces(_unwrapped(block))) for block in blocks if block.strip())


def _unwrapped(block: str) -> str:
    """A block whose lines were broken to fit a source file, as one line; one for each item."""
    joined = ""
    for line in (line.strip() for line in block.splitlines()):
        separator = "\n" if _ITEM.match(line) else " "
        joined += (separator if joined else "") + line
    return joined


def _pieces(text: str) -> Iterator[Piece]:
    end = 0
    for found in _CODE.finditer(text):
        if found.start() > end:
            yield Piece(text[end : found.start()])
        yield Piece(found[2].strip(), code=True)
        end = found.end()
    if end < len(text):
        yield Piece(text[end:])
