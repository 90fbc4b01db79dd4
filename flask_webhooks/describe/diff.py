"""What changed for receivers between two OpenAPI documents, and whether it breaks them.

A receiver was written against the old document. So whatever can arrive now and could not before
breaks it, and so does whatever it relied on and can be missing now.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .check import Described, listed, members, operations, parameters, resolved
from .references import component_name, lookup, references

_ANY, _NULL = "any", "null"
#: Constraints from above and from below, where a number says all.
_UPPER = ("maxLength", "maxItems", "maxProperties")
_LOWER = ("minLength", "minItems", "minProperties")
#: Assertions that don't tell how they widen: any change of one may let more through.
_OPAQUE = (
    "contains", "contentSchema", "dependentRequired", "dependentSchemas", "else", "if",
    "maxContains", "minContains", "not", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
#: How a text is to be read: nobody expects a new way.
_READING = ("contentEncoding", "contentMediaType")
_WORDING = ("title", "description", "default", "example", "examples", "deprecated", "$comment")
#: How often one schema is compared within one request: shared ones could be met without end.
_VISITS = 3
_DEEPEST = 6


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that changed.

    ``path`` is a JSON path in the payload, such as ``$.items[].price``, or names what else of the
    request changed, such as ``header webhook-id``; ``""`` is the request as a whole.
    """

    kind: str
    name: str
    path: str
    what: str
    breaks: bool
    #: Whether only words about the request changed, and nothing that is sent.
    wording: bool = False


@dataclass(frozen=True, kw_only=True)
class _Spot:
    """A place in a request that is compared, and how a reader finds it."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    #: Component schemas that are the same in both documents, with all that they refer to.
    steady: frozenset[str]
    kind: str
    name: str
    path: str = ""
    #: Which of several alternatives this is.
    among: str = ""
    #: How often each pair of schemas was entered in this request, and which are entered now.
    visits: Counter[tuple[str, str]] = field(default_factory=Counter)
    above: frozenset[tuple[str, str]] = frozenset()

    def breaks(self, what: str) -> Change:
        return self._change(what, breaks=True)

    def ok(self, what: str) -> Change:
        return self._change(what, breaks=False)

    def wording(self, what: str) -> Change:
        return replace(self._change(what, breaks=False), wording=True)

    def _change(self, what: str, *, breaks: bool) -> Change:
        told = f"{what} (where it is {self.among})" if self.among else what
        return Change(kind=self.kind, name=self.name, path=self.path, what=told, breaks=breaks)

    def at(self, path: str) -> _Spot:
        return replace(self, path=path)

    def inside(self, step: str) -> _Spot:
        return replace(self, path=self.path + step)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Everything that changed in what is sent: webhooks first, in the order of the documents."""
    before, after, steady = _sent(old), _sent(new), _steady(old, new)
    found: list[Change] = []
    for key in sorted({**before, **after}, key=lambda key: key[0] != "webhook"):
        for was, now in _matched(before.get(key, {}), after.get(key, {})):
            name = _label(next(iter({**was, **now}.values())))
            spot = _Spot(old=old, new=new, steady=steady, kind=key[0], name=name)
            found += _of_request(spot, was, now)
    return found


_Methods = Mapping[str, Described]


def _sent(document: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, dict[str, Described]]]:
    """Webhooks and callbacks by kind and name, then by expression, then by method."""
    found: dict[tuple[str, str], dict[str, dict[str, Described]]] = {}
    for described in operations(document):
        if described.kind != "path":
            # Renaming a variable of a path changes nothing for those who call it.
            name = re.sub(r"\{[^{}]*\}", "{}", _label(described))
            expressions = found.setdefault((described.kind, name), {})
            expressions.setdefault(described.expression or "", {})[described.method] = described
    return found


def _matched(
    before: Mapping[str, _Methods], after: Mapping[str, _Methods]
) -> Iterator[tuple[_Methods, _Methods]]:
    """Which expressions are the same request; one new one is taken for the one that is gone."""
    gone = [expression for expression in before if expression not in after]
    come = [expression for expression in after if expression not in before]
    follows = dict(zip(gone, come, strict=True)) if len(gone) == len(come) == 1 else {}
    for expression, methods in before.items():
        yield methods, after.get(follows.get(expression, expression), {})
    for expression in come if not follows else ():
        yield {}, after[expression]


def _label(described: Described) -> str:
    if described.parent is None:
        return described.name
    return f"{described.name} on {described.parent.method} {_label(described.parent)}"


def _steady(old: Mapping[str, Any], new: Mapping[str, Any]) -> frozenset[str]:
    before, after = (members(members(one, "components"), "schemas") for one in (old, new))
    moved = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    leads = {name: set(map(component_name, references(after[name]))) for name in after}
    while more := {name for name, names in leads.items() if name not in moved and names & moved}:
        moved |= more
    return frozenset({*before} - moved)


# One request


def _of_request(spot: _Spot, old: _Methods, new: _Methods) -> Iterator[Change]:
    if not new:
        yield spot.breaks("removed")
    elif not old:
        yield spot.ok("added")
    elif len(set(old) - set(new)) == len(set(new) - set(old)) == 1:
        [before], [after] = set(old) - set(new), set(new) - set(old)
        yield spot.at("method").breaks(f"{before} became {after}")
        yield from _of_operation(spot, old[before], new[after])
    else:
        for method in sorted(set(old) ^ set(new)):
            what = "no longer sent" if method in old else "sent besides"
            yield spot.at("method").breaks(f"{method} is {what}")
    for method in old:
        if method in new:
            yield from _of_operation(spot, old[method], new[method])


def _of_operation(spot: _Spot, old: Described, new: Described) -> Iterator[Change]:
    if old.expression != new.expression:
        yield spot.at("url").breaks(f"was taken from {old.expression}, now from {new.expression}")
    yield from _of_parameters(spot, old, new)
    yield from _of_body(spot, old, new)
    yield from _of_answers(spot.at("answers"), old.operation, new.operation)
    if _security(spot.old, old.operation) != _security(spot.new, new.operation):
        yield spot.at("security").breaks("how the request proves its sender changed")
    yield from _of_words(spot, old.operation, new.operation, ("operationId", "tags", "summary"))


def _of_words(
    spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any], more: Sequence[str] = ()
) -> Iterator[Change]:
    for word in (*more, *_WORDING):
        if old.get(word) != new.get(word):
            yield spot.wording(f"{word} changed")


def _of_parameters(spot: _Spot, old: Described, new: Described) -> Iterator[Change]:
    before, after = _named(spot.old, old), _named(spot.new, new)
    for name in [*before, *(name for name in after if name not in before)]:
        place = spot.at(name)
        if name not in after:
            yield place.breaks("removed")
        elif name not in before:
            yield place.ok("added")
        else:
            yield from _of_need(place, before[name].get("required"), after[name].get("required"))
            yield from _of_schema(place, _schema_of(before[name]), _schema_of(after[name]))
            yield from _of_words(place, before[name], after[name])


def _named(document: Mapping[str, Any], described: Described) -> dict[str, Mapping[str, Any]]:
    """Parameters by place and name; names of headers ignore case."""
    found = {}
    for _, parameter in parameters(document, described):
        place, name = str(parameter.get("in")), str(parameter.get("name"))
        found[f"{place} {name.lower() if place == 'header' else name}"] = parameter
    return found


def _schema_of(parameter: Mapping[str, Any]) -> Any:
    content: Any = next(iter(members(parameter, "content").values()), {})
    return parameter.get("schema", content.get("schema", {}))


def _of_need(spot: _Spot, old: Any, new: Any) -> Iterator[Change]:
    if old is True and new is not True:
        yield spot.breaks("was required, and may be missing now")
    elif new is True and old is not True:
        yield spot.ok("is always there now")


def _of_body(spot: _Spot, old: Described, new: Described) -> Iterator[Change]:
    before, _ = resolved(spot.old, old.operation.get("requestBody"), ())
    after, _ = resolved(spot.new, new.operation.get("requestBody"), ())
    body = spot.at("body")
    if before and not after:
        yield body.breaks("no longer sent")
        return
    if before:
        yield from _of_need(body, before.get("required"), after.get("required"))
        yield from _of_words(body, before, after)
    elif after:
        yield body.ok("added")
        return
    contents = members(before, "content"), members(after, "content")
    for media_type in dict.fromkeys([*contents[0], *contents[1]]):
        yield from _of_media(spot.at("$"), media_type, *contents)


def _of_media(
    spot: _Spot, media_type: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    place = spot.at("content type")
    if media_type not in new:
        yield place.breaks(f"{media_type} is no longer sent")
    elif media_type not in old:
        yield place.breaks(f"{media_type} may arrive now")
    else:
        several = replace(spot, among=media_type if len(old) > 1 else "")
        before, after = members(old, media_type), members(new, media_type)
        yield from _of_schema(several, before.get("schema", {}), after.get("schema", {}))
        if any(before.get(word) != after.get(word) for word in ("example", "examples")):
            yield several.wording("examples changed")


def _of_answers(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """What the receiver may answer: it relies on each status that counted as success."""
    before, after = _successes(old), _successes(new)
    told = f"success was {', '.join(before)}, now {', '.join(after)}"
    if _statuses(before) - _statuses(after):
        yield spot.breaks(told)
    elif _statuses(after) - _statuses(before):
        yield spot.ok(told)
    others = [sorted(set(members(one, "responses")) - set(_successes(one))) for one in (old, new)]
    for code in sorted(set(others[0]) ^ set(others[1])):
        yield spot.ok(f"{code} is {'no longer' if code in others[0] else 'now'} documented")


def _successes(operation: Mapping[str, Any]) -> list[str]:
    """The declared answers that are a success, or what counts where none is declared."""
    good = [code for code in members(operation, "responses") if code.upper().startswith("2")]
    return sorted(good) or ["2XX"]


def _statuses(codes: Sequence[str]) -> set[str]:
    return {
        str(status)
        for code in codes
        for status in (range(200, 300) if code.upper() == "2XX" else (code,))
    }


def _security(document: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    """The ways to prove the sender, each with what it names but without words about it."""
    known = members(members(document, "components"), "securitySchemes")
    found = []
    for requirement in listed(operation if "security" in operation else document, "security"):
        named = requirement if isinstance(requirement, Mapping) else {}
        schemes = {
            name: {k: v for k, v in members(known, name).items() if k != "description"}
            for name in named
        }
        found.append(_json([schemes, named]))
    return sorted(found)


# One schema


@dataclass(frozen=True, kw_only=True)
class _Branch:
    """One type that a schema allows, with the words that hold for it."""

    kind: str
    words: Mapping[str, Any]
    #: The name of its component or its title.
    name: str = ""

    @property
    def label(self) -> str:
        if self.values:
            return _listing(self.values)
        if self.name and self.kind == "object":
            return f"{self.name} (object)"
        return "anything" if self.kind == _ANY else self.kind

    @property
    def values(self) -> list[str] | None:
        """The values that are listed, as JSON; ``None`` if it takes others too."""
        listed_here = self.words.get("enum", [self.words.get("const")])
        if not isinstance(listed_here, list) or not {"enum", "const"} & set(self.words):
            return None
        return [_json(v) for v in listed_here if self.kind == _ANY or _fits(v, self.kind)]


def _of_schema(spot: _Spot, old: Any, new: Any) -> Iterator[Change]:
    if _is_steady(spot, old, new):
        return
    pair = (_json(old), _json(new))
    if pair in spot.above or spot.visits[pair] >= _VISITS:
        return
    spot.visits[pair] += 1
    spot = replace(spot, above=spot.above | {pair})
    yield from _of_words(spot, _flat(spot.old, old), _flat(spot.new, new))
    before, after = _branches(spot.old, old), _branches(spot.new, new)
    pairs, gone, come = _paired(before, after)
    several = len([branch for branch in after if branch.kind != _NULL]) > 1
    for was, now in pairs:
        among = replace(spot, among=now.name or now.kind) if several and now.kind != _NULL else spot
        yield from _of_branch(among, was, now)
    yield from _of_alternatives(spot, before, gone, come)


def _is_steady(spot: _Spot, old: Any, new: Any) -> bool:
    leads = (component_name(reference) for reference in references(old))
    return bool(old == new) and all(name in spot.steady for name in leads)


def _of_alternatives(
    spot: _Spot, before: Sequence[_Branch], gone: Sequence[_Branch], come: Sequence[_Branch]
) -> Iterator[Change]:
    if any(branch.kind == _ANY for branch in before):
        for branch in come:
            yield spot.ok(f"could be anything, is {branch.label} now")
    elif len(gone) == len(come) == 1 and _NULL not in (gone[0].kind, come[0].kind):
        yield spot.breaks(f"{gone[0].label} became {come[0].label}")
    elif any(branch.kind == _ANY for branch in come):
        yield spot.breaks("may be anything now")
    else:
        for branch in come:
            yield spot.breaks(f"may be {branch.label} now")
        for branch in gone:
            yield spot.ok(f"is never {branch.label} any more")


def _paired(
    before: Sequence[_Branch], after: Sequence[_Branch]
) -> tuple[list[tuple[_Branch, _Branch]], list[_Branch], list[_Branch]]:
    """Which alternatives are the same ones in both; then those that are gone, those that came."""
    gone, come = list(before), list(after)
    pairs: list[tuple[_Branch, _Branch]] = []
    kinds = Counter(b.kind for b in before) | Counter(b.kind for b in after)

    def kind(branch: _Branch) -> Hashable:
        # Among several objects, one of another name is another one.
        return branch.kind, branch.name if kinds[branch.kind] > 1 else ""

    keys: list[Callable[[_Branch], Hashable]] = [
        lambda branch: (branch.kind, branch.name, _json(branch.words)),
        lambda branch: (branch.kind, branch.name or id(branch)),
        lambda branch: (branch.kind, _tag(branch) or id(branch)),
        kind,
        lambda branch: branch.kind in ("integer", "number") or id(branch),
    ]
    for key in keys:
        for was in list(gone):
            now = next((branch for branch in come if key(branch) == key(was)), None)
            if now is not None:
                gone.remove(was)
                come.remove(now)
                pairs.append((was, now))
    return pairs, gone, come


def _tag(branch: _Branch) -> str:
    """What tells an object from its alternatives: the properties that are constant."""
    constant = {
        name: schema["const"]
        for name, schema in members(branch.words, "properties").items()
        if isinstance(schema, Mapping) and "const" in schema
    }
    return _json(constant) if constant else ""


def _of_branch(spot: _Spot, old: _Branch, new: _Branch) -> Iterator[Change]:
    if (old.kind, new.kind) == ("integer", "number"):
        yield spot.breaks("integer became number")
    elif old.kind != new.kind:
        yield spot.ok(f"{old.kind} became {new.kind}")
    yield from _of_values(spot, old, new)
    yield from _of_bounds(spot, old.words, new.words)
    yield from _of_rules(spot, old.words, new.words)
    if old.kind in ("object", _ANY):
        yield from _of_object(spot, old.words, new.words)
    if old.kind in ("array", _ANY):
        yield from _of_array(spot, old.words, new.words)


def _of_values(spot: _Spot, old: _Branch, new: _Branch) -> Iterator[Change]:
    before, after = old.values, new.values
    if before == after:
        return
    if before is None:
        yield spot.ok(f"only {_listing(after)} may come now")
    elif after is None:
        yield spot.breaks(f"any value may come now, not only {_listing(before)}")
    elif len(before) == len(after) == 1:
        yield spot.breaks(f"was {before[0]}, is {after[0]} now")
    else:
        if come := [value for value in after if value not in before]:
            yield spot.breaks(f"may be {_listing(come)} now")
        if gone := [value for value in before if value not in after]:
            yield spot.ok(f"is never {_listing(gone)} any more")


def _listing(values: Sequence[str] | None) -> str:
    return " or ".join(values or ())


def _of_bounds(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for word in _UPPER:
        yield from _of_bound(spot, _bound(old, word), _bound(new, word), upper=True)
    for word in _LOWER:
        yield from _of_bound(spot, _bound(old, word), _bound(new, word), upper=False)
    yield from _of_bound(spot, _highest(old), _highest(new), upper=True)
    yield from _of_bound(spot, _lowest(old), _lowest(new), upper=False)


#: A number; 1 if it is in the range itself, else 0 from above and 2 from below; the word for it.
_Bound = tuple[float, int, str]


def _of_bound(
    spot: _Spot, old: _Bound | None, new: _Bound | None, *, upper: bool
) -> Iterator[Change]:
    if old is not None and new is None:
        yield spot.breaks(f"{old[2]} {old[0]:g} no longer holds")
    elif old is None and new is not None:
        yield spot.ok(f"{new[2]} is {new[0]:g} now")
    elif old is not None and new is not None and old[:2] != new[:2]:
        looser = new[:2] > old[:2] if upper else new[:2] < old[:2]
        told = f"{old[2]} {old[0]:g} became {new[2]} {new[0]:g}"
        yield spot.breaks(told) if looser else spot.ok(told)


def _bound(words: Mapping[str, Any], word: str, inclusion: int = 1) -> _Bound | None:
    value = words.get(word)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, inclusion, word) if number and value is not None else None


def _highest(words: Mapping[str, Any]) -> _Bound | None:
    # In OpenAPI 3.0 the exclusive word is a flag beside the other.
    included = 0 if words.get("exclusiveMaximum") is True else 1
    both = (_bound(words, "maximum", included), _bound(words, "exclusiveMaximum", 0))
    return min((bound for bound in both if bound is not None), default=None)


def _lowest(words: Mapping[str, Any]) -> _Bound | None:
    included = 2 if words.get("exclusiveMinimum") is True else 1
    both = (_bound(words, "minimum", included), _bound(words, "exclusiveMinimum", 2))
    return max((bound for bound in both if bound is not None), default=None)


def _of_rules(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for word in ("format", "pattern", "multipleOf", "uniqueItems", *_READING, *_OPAQUE):
        before, after = old.get(word), new.get(word)
        if before == after and (word not in _OPAQUE or _is_steady(spot, before, after)):
            continue
        if word == "multipleOf" and _divides(before, after):
            yield spot.ok(f"{word} {before} became {after}")
        elif word in _OPAQUE and before is not None:
            yield spot.breaks(f"{word} changed, and may allow more now")
        elif before in (None, False):
            added = f"{word} is {after} now" if word not in _OPAQUE else f"{word} restricts it now"
            yield spot.breaks(added) if word in _READING else spot.ok(added)
        elif after in (None, False):
            yield spot.breaks(f"{word} {before} no longer holds")
        else:
            yield spot.breaks(f"{word} {before} became {after}")


def _divides(old: Any, new: Any) -> bool:
    numbers = isinstance(old, int) and isinstance(new, int)
    return numbers and old != 0 and new % old == 0


def _of_object(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = members(old, "properties"), members(new, "properties")
    needed = set(listed(old, "required")), set(listed(new, "required"))
    closed = old.get("additionalProperties") is False
    for name in dict.fromkeys([*before, *after]):
        place = spot.inside(_step(name))
        if name not in after:
            yield place.breaks("removed")
        elif name not in before:
            yield (
                place.breaks("added where nothing more was allowed")
                if closed
                else place.ok("added")
            )
        else:
            yield from _of_need(place, name in needed[0], name in needed[1])
            yield from _of_schema(place, before[name], after[name])
    for name in sorted(needed[0] - needed[1] - {*before, *after}):
        yield spot.inside(_step(name)).breaks("was required, and may be missing now")
    yield from _of_patterns(spot, old, new)
    yield from _of_others(spot, old, new)


def _of_patterns(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = members(old, "patternProperties"), members(new, "patternProperties")
    for pattern in dict.fromkeys([*before, *after]):
        place = spot.inside(f"[/{pattern}/]")
        if pattern not in after:
            yield place.breaks("removed")
        elif pattern not in before:
            yield place.ok("added")
        else:
            yield from _of_schema(place, before[pattern], after[pattern])


def _of_others(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
    place = spot.inside(".*")
    if before is False and after is not False:
        yield place.breaks("other properties may come now")
    elif before is not False and after is False:
        yield place.ok("no other properties come any more")
    else:
        yield from _of_schema(place, before, after)


def _of_array(spot: _Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = listed(old, "prefixItems"), listed(new, "prefixItems")
    rest = old.get("items", True), new.get("items", True)
    for index in range(max(len(before), len(after))):
        was = before[index] if index < len(before) else rest[0]
        now = after[index] if index < len(after) else rest[1]
        yield from _of_schema(spot.inside(f"[{index}]"), was, now)
    yield from _of_schema(spot.inside("[]"), *rest)


def _step(name: str) -> str:
    """Input: ``price`` or ``unit price``. Output: ``.price`` or ``['unit price']``."""
    return f".{name}" if re.fullmatch(r"[^\W\d]\w*", name) else f"[{name!r}]"


# A schema as alternatives, each in one piece


def _branches(document: Any, schema: Any, depth: int = 0) -> list[_Branch]:
    """Every type that a schema allows, each in one piece."""
    if schema is False:
        return []
    words = _flat(document, schema)
    for word in ("anyOf", "oneOf") if depth < _DEEPEST else ():
        if parts := listed(words, word):
            rest = {k: v for k, v in words.items() if k != word and k not in _WORDING}
            found = [
                replace(branch, name=branch.name or _name(part))
                for part in parts
                for branch in _branches(document, {"allOf": [rest, part]}, depth + 1)
            ]
            return _distinct(found)
    plain = {k: v for k, v in words.items() if k not in _WORDING}
    name = _name(schema) if depth == 0 else ""
    return [_Branch(kind=kind, words=plain, name=name) for kind in _kinds(words)]


def _distinct(found: Sequence[_Branch]) -> list[_Branch]:
    unique = {(b.kind, "" if b.kind == _NULL else _json(b.words)): b for b in found}
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
    if not kinds and {"const", "enum"} & set(words):
        values = [*listed(words, "enum"), *([words["const"]] if "const" in words else [])]
        kinds = list(dict.fromkeys(_kind_of(value) for value in values))
    if not kinds:
        implied = (("object", "properties"), ("array", "items"), ("array", "prefixItems"))
        kinds = [kind for kind, word in implied if word in words][:1] or [_ANY]
    return [*kinds, *([_NULL] if words.get("nullable") is True and _NULL not in kinds else [])]


def _kind_of(value: Any) -> str:
    known = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    )
    if value is None:
        return _NULL
    return next((kind for of, kind in known if isinstance(value, of)), "object")


def _fits(value: Any, kind: str) -> bool:
    found = _kind_of(value)
    return found == kind or (found == "integer" and kind == "number")


def _flat(document: Any, schema: Any, seen: frozenset[str] = frozenset()) -> Mapping[str, Any]:
    """A schema with its references and ``allOf`` put into one."""
    if not isinstance(schema, Mapping):
        return {}
    parts: list[Mapping[str, Any]] = []
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        found = lookup(document, reference)
        parts = [_flat(document, found[0], seen | {reference})] if found else []
    parts += [_flat(document, part, seen) for part in listed(schema, "allOf")]
    words = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
    for part in reversed(parts):
        words = {
            word: _both(word, part[word], words[word])
            if word in part and word in words
            else words.get(word, part.get(word))
            for word in dict.fromkeys([*part, *words])
        }
    return words


def _both(word: str, first: Any, second: Any) -> Any:
    """What holds where two schemas say the same word and both must hold."""
    if first == second or word in _WORDING:
        return second
    if word in ("properties", "patternProperties"):
        shared = {n: {"allOf": [first[n], second[n]]} for n in first if n in second}
        return {**first, **second, **{n: s for n, s in shared.items() if first[n] != second[n]}}
    if word == "required":
        return list(dict.fromkeys([*first, *second]))
    if word in ("anyOf", "oneOf"):
        return [{"allOf": [one, other]} for one in first for other in second]
    if word in ("type", "enum"):
        return _shared(first, second)
    if word in ("items", "additionalProperties"):
        return False if False in (first, second) else {"allOf": [first, second]}
    return _tighter(word, first, second)


def _shared(first: Any, second: Any) -> list[Any]:
    one, other = (v if isinstance(v, list) else [v] for v in (first, second))
    widest = [v for v in one if v in other]
    return widest or ["integer"] if {"integer", "number"} <= {*map(str, one + other)} else widest


def _tighter(word: str, first: Any, second: Any) -> Any:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (first, second))
    if numbers and (word in _UPPER or word in ("maximum", "exclusiveMaximum")):
        return min(first, second)
    if numbers and (word in _LOWER or word in ("minimum", "exclusiveMinimum")):
        return max(first, second)
    return second


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
