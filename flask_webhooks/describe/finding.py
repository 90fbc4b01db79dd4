"""What one check of a document has found."""

from __future__ import annotations

from dataclasses import dataclass

from .reading import At, pointer

_LONGEST = 200


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One thing that is wrong: where, and what in a sentence."""

    at: At
    text: str

    @property
    def pointer(self) -> str:
        """Where it stands, as a JSON Pointer (RFC 6901)."""
        return pointer(self.at)


def shortened(message: str) -> str:
    """The first line of a message, not longer than a reader's patience."""
    text = message.partition("\n")[0]
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return text if text.endswith((".", "…")) else text + "."
