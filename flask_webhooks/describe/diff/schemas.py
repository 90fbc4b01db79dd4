"""What changed between two schemas of what is sent, and what of it lets more arrive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..reading import listed, members
from ..references import component_name, references
from .alternatives import ANY, NULL, Branch, branches, is_within, listing, paired
from .bounds import of_bounds
from .change import Change, Spot, as_text, of_need, of_words
from .conjunction import OPAQUE, in_one, member_schema

#: How a text is to be read: nobody expects a new way.
_READING = ("contentEncoding", "contentMediaType")
#: Formats of which the second is a special case of the first.
_NARROWER = {
    ("int64", "int32"), ("double", "float"), ("idn-email", "email"), ("idn-hostname", "hostname"),
    ("iri-reference", "iri"), ("iri-reference", "uri-reference"), ("iri-reference", "uri"),
    ("iri", "uri"), ("uri-reference", "uri"),
}  # fmt: skip
#: How often one schema is compared within one request: shared ones could be met without end.
_VISITS = 3


def of_schema(spot: Spot, old: Any, new: Any) -> Iterator[Change]:
    """Every change between two schemas, and between those inside them."""
    if _is_steady(spot, old, new):
        return
    pair = (as_text(old), as_text(new))
    if pair in spot.above or spot.visits[pair] >= _VISITS:
        return
    spot.visits[pair] += 1
    spot = replace(spot, above=spot.above | {pair})
    words = in_one(spot.old, old), in_one(spot.new, new)
    yield from of_words(spot, *words)
    yield from _of_discriminator(spot, *words)
    before, after = branches(spot.old, old), branches(spot.new, new)
    pairs, gone, come = paired(before, after)
    several = len([branch for branch in after if branch.kind != NULL]) > 1
    for was, now in pairs:
        among = replace(spot, among=now.name or now.kind) if several and now.kind != NULL else spot
        yield from _of_branch(among, was, now)
    yield from _of_alternatives(spot, before, gone, come)


def _of_discriminator(
    spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    """By what receivers tell alternatives apart; what the components are called is not sent."""
    before, after = members(old, "discriminator"), members(new, "discriminator")
    names = before.get("propertyName"), after.get("propertyName")
    if before and names[0] != names[1]:
        yield spot.breaks(f"was told apart by {names[0]}, now by {names[1] or 'nothing'}")
    known, mapped = members(before, "mapping"), members(after, "mapping")
    if known and mapped:
        if come := [as_text(value) for value in mapped if value not in known]:
            yield spot.breaks(f"may be told apart by {listing(come)} now")
        if gone := [as_text(value) for value in known if value not in mapped]:
            yield spot.ok(f"is never told apart by {listing(gone)} any more")


def _is_steady(spot: Spot, old: Any, new: Any) -> bool:
    leads = (component_name(reference) for reference in references(old))
    return as_text(old) == as_text(new) and all(name in spot.steady for name in leads)


def _of_alternatives(
    spot: Spot, before: Sequence[Branch], gone: Sequence[Branch], come: Sequence[Branch]
) -> Iterator[Change]:
    anything = next((branch for branch in before if branch.kind == ANY), None)
    if anything is not None:
        for branch in come:
            yield spot.ok(f"could be anything, is {branch.label} now")
            narrowed = anything.as_kind(branch.kind)
            yield from (c for c in _of_branch(spot, narrowed, branch) if c.breaks)
    elif len(gone) == len(come) == 1 and NULL not in (gone[0].kind, come[0].kind):
        yield spot.breaks(f"{gone[0].label} became {come[0].label}")
    elif any(branch.kind == ANY for branch in come):
        yield spot.breaks("may be anything now")
    else:
        for branch in come:
            yield spot.breaks(f"may be {branch.label} now")
        for branch in gone:
            yield spot.ok(f"is never {branch.label} any more")


def _of_branch(spot: Spot, old: Branch, new: Branch) -> Iterator[Change]:
    if (old.kind, new.kind) == ("integer", "number"):
        yield spot.breaks("integer became number")
    elif old.kind != new.kind:
        yield spot.ok(f"{old.kind} became {new.kind}")
    yield from _of_values(spot, old, new)
    if new.values is None:
        # Where every value is listed, nothing else can let more through.
        yield from of_bounds(spot, old.words, new.words)
        yield from _of_rules(spot, old.words, new.words)
    yield from _of_opaque(spot, old.words, new.words)
    if old.kind in ("object", ANY):
        yield from _of_object(spot, old.words, new.words)
    if old.kind in ("array", ANY):
        yield from _of_array(spot, old.words, new.words)


def _of_values(spot: Spot, old: Branch, new: Branch) -> Iterator[Change]:
    before, after = old.values, new.values
    if before == after:
        return
    if before is None:
        yield spot.ok(f"only {listing(after)} may come now")
        if unheard := [as_text(v) for v in new.listed if not is_within(v, old.words)]:
            yield spot.breaks(f"may be {listing(unheard)} now")
    elif after is None:
        yield spot.breaks(f"any value may come now, not only {listing(before)}")
    elif len(before) == len(after) == 1:
        yield spot.breaks(f"was {before[0]}, is {after[0]} now")
    else:
        if come := [value for value in after if value not in before]:
            yield spot.breaks(f"may be {listing(come)} now")
        if gone := [value for value in before if value not in after]:
            yield spot.ok(f"is never {listing(gone)} any more")


def _of_rules(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for word in ("format", "pattern", "multipleOf", "uniqueItems", *_READING):
        before, after = old.get(word), new.get(word)
        if before == after:
            continue
        if (word == "multipleOf" and _divides(before, after)) or (before, after) in _NARROWER:
            yield spot.ok(f"{word} {before} became {after}")
        elif before in (None, False):
            told = f"{word} is {after} now"
            yield spot.breaks(told) if word in _READING else spot.ok(told)
        elif after in (None, False):
            yield spot.breaks(f"{word} {before} no longer holds")
        else:
            yield spot.breaks(f"{word} {before} became {after}")


def _of_opaque(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for word in OPAQUE:
        before, after = old.get(word), new.get(word)
        if word not in old and word in new:
            yield spot.ok(f"{word} restricts it now")
        elif word in old and not _is_steady(spot, before, after):
            yield spot.breaks(f"{word} changed, and may allow more now")


def _divides(old: Any, new: Any) -> bool:
    numbers = isinstance(old, int) and isinstance(new, int)
    return numbers and old != 0 and new % old == 0


def _of_object(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = members(old, "properties"), members(new, "properties")
    needed = set(listed(old, "required")), set(listed(new, "required"))
    for name in dict.fromkeys([*before, *after]):
        place = spot.inside(_step(name))
        if name not in after:
            yield place.breaks("removed")
        elif name not in before:
            allowed = member_schema(old, name)
            open_to_all = member_schema({**new, "additionalProperties": True}, name)
            added = {"allOf": [after[name], open_to_all]}
            yield from _of_addition(place, old, allowed, added)
        else:
            yield from of_need(place, name in needed[0], name in needed[1])
            yield from of_schema(place, before[name], after[name])
    for name in sorted(map(str, needed[0] - needed[1] - {*before})):
        yield spot.inside(_step(name)).breaks("was required, and may be missing now")
    yield from _of_patterns(spot, old, new)
    yield from _of_others(spot, old, new)


def _of_addition(place: Spot, old: Mapping[str, Any], allowed: Any, added: Any) -> Iterator[Change]:
    """A member that is named now, where the old schema allowed only what it says of all others."""
    closed = "additionalProperties" not in old and old.get("unevaluatedProperties") is False
    if allowed is False or (allowed is True and closed):
        yield place.breaks("added where nothing more was allowed")
        return
    yield place.ok("added")
    if allowed not in (True, {}):
        yield from (change for change in of_schema(place, allowed, added) if change.breaks)


def _of_patterns(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = members(old, "patternProperties"), members(new, "patternProperties")
    for pattern in dict.fromkeys([*before, *after]):
        place = spot.inside(f"[/{pattern}/]")
        if pattern not in after:
            yield place.breaks("removed")
        elif pattern not in before:
            yield from _of_addition(
                place, old, old.get("additionalProperties", True), after[pattern]
            )
        else:
            yield from of_schema(place, before[pattern], after[pattern])


def _of_others(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
    place = spot.inside(".*")
    if before is False and after is not False:
        yield place.breaks("other properties may come now")
    elif before is not False and after is False:
        yield place.ok("no other properties come any more")
    else:
        yield from of_schema(place, before, after)


def _of_array(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = listed(old, "prefixItems"), listed(new, "prefixItems")
    rest = old.get("items", True), new.get("items", True)
    for index in range(max(len(before), len(after))):
        was = before[index] if index < len(before) else rest[0]
        now = after[index] if index < len(after) else rest[1]
        yield from of_schema(spot.inside(f"[{index}]"), was, now)
    yield from of_schema(spot.inside("[]"), *rest)


def _step(name: str) -> str:
    """Input: ``price`` or ``unit price``. Output: ``.price`` or ``['unit price']``."""
    return f".{name}" if re.fullmatch(r"[^\W\d]\w*", name) else f"[{name!r}]"
