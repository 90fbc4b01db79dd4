"""What changed for receivers between two OpenAPI documents, and whether it breaks them.

A receiver was written against the old document. So whatever can arrive now and could not before
breaks it, and so does whatever it relied on and can be missing now.
"""

from __future__ import annotations

from .change import Change
from .requests import changes

__all__ = ["Change", "changes"]
