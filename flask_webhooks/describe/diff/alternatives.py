"""A schema as alternatives: every type that it allows, each in one piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jsonschema_rs

from ..reading import listed, members
from ..references import component_name
from .change import WORDING, as_text, whole
from .conjunction import LOWER, UPPER, in_one

ANY, NULL = "any", "null"
_DEEPEST = 6

#: The types that a word is about; what stands nowhere here is about all of them.
_ABOUT = {
    **dict.fromkeys(
        ("maxLength", "minLength", "pattern", "contentEncoding", "contentMediaType",
         "contentSchema"), {"string"},
    ),
    **dict.fromkeys(
        ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"),
        {"integer", "number"},
    ),
    **dict.fromkeys(
        ("items", "prefixItems", "maxItems", "minItems", "uniqueItems", "contains",
         "unevaluatedItems"), {"array"},
    ),
    **dict.fromkeys(
        ("properties", "patternProperties", "additionalProperties", "required", "maxProperties",
         "minProperties", "propertyNames", "dependentRequired", "dependentSchemas",
         "unevaluatedProperties"), {"object"},
    ),
}  # fmt: skip
_BOUNDING = (
    *UPPER, *LOWER, "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf",
    "pattern", "uniqueItems", "required",
)  # fmt: skip
#: Words that say the type where no ``type`` does, as people mean them.
_IMPLIED = (("object", "properties"), ("array", "items"), ("array", "prefixItems"))


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One type that a schema allows, with the words that hold for it."""

    kind: str
    words: Mapping[str, Any]
    #: The name of its component or its title.
    name: str = ""

    @property
    def label(self) -> str:
        if self.values:
            return listing(self.values)
        if self.name and self.kind == "object":
            return f"{self.name} (object)"
        return "anything" if self.kind == ANY else self.kind

    @property
    def listed(self) -> list[Any]:
        """The values that are listed."""
        found = self.words.get("enum")
        every = found if isinstance(found, list) else []
        fitting = (v for v in every if self.kind == ANY or _fits(v, self.kind))
        return [value for value in fitting if is_within(value, self.words)]

    @property
    def values(self) -> list[str] | None:
        """The values that are listed, as JSON; ``None`` if it takes others too."""
        listing_here = isinstance(self.words.get("enum"), list) and self.kind != NULL
        return [as_text(value) for value in self.listed] if listing_here else None

    def as_kind(self, kind: str) -> Branch:
        """What a branch for anything says of one type."""
        return Branch(kind=kind, words=_about(kind, self.words), name=self.name)


def is_within(value: Any, words: Mapping[str, Any]) -> bool:
    """Whether a value is in the bounds of a schema; what is inside of it is not looked at."""
    bounds = {word: said for word, said in words.items() if word in _BOUNDING}
    try:
        return not bounds or jsonschema_rs.Draft202012Validator(bounds).is_valid(value)
    except ValueError:  # a pattern that can't be read, say
        return False


def listing(values: Sequence[str] | None) -> str:
    """Input: ``["1", "2"]``. Output: ``"1 or 2"``."""
    return " or ".join(values or ())


def branches(document: Any, schema: Any, depth: int = 0) -> list[Branch]:
    """Every type that a schema allows; none where nothing fits it."""
    words = in_one(document, schema)
    for word in ("anyOf", "oneOf") if depth < _DEEPEST else ():
        if parts := listed(words, word):
            rest = {k: v for k, v in words.items() if k != word and k not in WORDING}
            found = [
                replace(branch, name=branch.name or _name(part))
                for part in parts
                for branch in branches(document, {"allOf": [rest, part]}, depth + 1)
            ]
            return _distinct(found)
    name = _name(schema) if depth == 0 else ""
    return [Branch(kind=kind, words=_about(kind, words), name=name) for kind in _kinds(words)]


def _about(kind: str, words: Mapping[str, Any]) -> dict[str, Any]:
    """The words that are about one type."""
    return {
        word: said
        for word, said in words.items()
        if word not in WORDING and (kind == ANY or kind in _ABOUT.get(word, (kind,)))
    }


def _distinct(found: Sequence[Branch]) -> list[Branch]:
    unique = {(b.kind, "" if b.kind == NULL else as_text(b.words)): b for b in found}
    return list(unique.values())


def _name(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return ""
    reference = schema.get("$ref")
    return (component_name(str(reference)) if reference else None) or str(schema.get("title", ""))


def _kinds(words: Mapping[str, Any]) -> list[str]:
    """The types that a schema without alternatives allows: as declared, or as its words imply."""
    declared = words.get("type")
    kinds = [declared] if isinstance(declared, str) else list(listed(words, "type"))
    if isinstance(values := words.get("enum"), list):
        if "type" not in words:
            return list(dict.fromkeys(_kind_of(value) for value in values))
        return [kind for kind in kinds if any(_fits(value, kind) for value in values)]
    if not kinds and "type" not in words:
        kinds = [kind for kind, word in _IMPLIED if word in words][:1] or [ANY]
    return list(dict.fromkeys(map(str, kinds)))


def _kind_of(value: Any) -> str:
    known = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    )
    if value is None:
        return NULL
    return next((kind for of, kind in known if isinstance(whole(value), of)), "object")


def _fits(value: Any, kind: str) -> bool:
    found = _kind_of(value)
    return found == kind or (found == "integer" and kind == "number")


Pairs = list[tuple[Branch, Branch]]


def paired(
    before: Sequence[Branch], after: Sequence[Branch]
) -> tuple[Pairs, list[Branch], list[Branch]]:
    """Which alternatives are the same ones in both; then those that are gone, those that came."""
    gone, come = list(before), list(after)
    pairs: Pairs = []
    for key in _keys(before, after):
        for was in list(gone):
            now = next((branch for branch in come if key(branch) == key(was)), None)
            if now is not None:
                gone.remove(was)
                come.remove(now)
                pairs.append((was, now))
    return pairs, gone, come


def _keys(before: Sequence[Branch], after: Sequence[Branch]) -> list[Callable[[Branch], Hashable]]:
    """By what two alternatives are known to be the same one: the surest first."""
    kinds = Counter(b.kind for b in before) | Counter(b.kind for b in after)

    def kind(branch: Branch) -> Hashable:
        # Among several objects, one of another name is another one.
        return branch.kind, branch.name if kinds[branch.kind] > 1 else ""

    return [
        lambda branch: (branch.kind, branch.name, as_text(branch.words)),
        lambda branch: (branch.kind, branch.name or id(branch)),
        lambda branch: (branch.kind, _tag(branch) or id(branch)),
        kind,
        lambda branch: branch.kind in ("integer", "number") or id(branch),
    ]


def _tag(branch: Branch) -> str:
    """What tells an object from its alternatives: the properties that are constant."""
    constant = {
        name: schema.get("const", schema.get("enum"))
        for name, schema in members(branch.words, "properties").items()
        if isinstance(schema, Mapping) and ("const" in schema or len(listed(schema, "enum")) == 1)
    }
    return as_text(constant) if constant else ""
