"""A document as text, JSON or YAML, its keys in their order; and the tag that a text has."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

# What PyYAML leaves plain, but other readers take for a boolean (YAML 1.1) or a number (1.2).
_AMBIGUOUS = re.compile(r"[yn]|0o[0-7]+|[-+]?\d[\d_]*(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)


def to_json(document: Mapping[str, Any]) -> str:
    """The document as JSON. Not by ``jsonify``, which sorts keys: people read fields in order."""
    return json.dumps(document, ensure_ascii=False)


def etag_of(text: str) -> str:
    """The tag by which clients recognize a text (RFC 9110, 8.8.3)."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def to_yaml(document: Mapping[str, Any]) -> str | None:
    """The document as YAML that every reader understands alike; ``None`` without PyYAML."""
    try:
        import yaml
    except ImportError:
        return None

    class Dumper(yaml.SafeDumper):
        """Repeats what stands twice, and quotes what could be taken for something else."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = '"' if _AMBIGUOUS.fullmatch(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    dumped: str = yaml.dump(
        document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
    return dumped
