"""What changed between two requests: method, URL, parameters, body, answers and security."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..reading import Described, listed, members, operations, parameters, resolved
from ..references import component_name, references, unanchored
from .change import Change, Spot, as_text, of_need, of_words
from .delivery import of_delivery
from .schemas import of_schema

Methods = Mapping[str, Described]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Everything that changed in what is sent: webhooks first, in the order of the documents."""
    old, new = unanchored(old), unanchored(new)
    before, after, steady = _sent(old), _sent(new), _steady(old, new)
    found: list[Change] = []
    for key in sorted({**before, **after}, key=lambda key: key[0] != "webhook"):
        for was, now in _matched(before.get(key, {}), after.get(key, {})):
            name = _label(next(iter({**was, **now}.values())))
            spot = Spot(old=old, new=new, steady=steady, kind=key[0], name=name)
            found += _of_request(spot, was, now)
    return [*found, *of_delivery(old, new)]


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
    before: Mapping[str, Methods], after: Mapping[str, Methods]
) -> Iterator[tuple[Methods, Methods]]:
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


def _of_request(spot: Spot, old: Methods, new: Methods) -> Iterator[Change]:
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


def _of_operation(spot: Spot, old: Described, new: Described) -> Iterator[Change]:
    if old.expression != new.expression:
        yield spot.at("url").breaks(f"was taken from {old.expression}, now from {new.expression}")
    yield from _of_parameters(spot, old, new)
    yield from _of_body(spot, old, new)
    yield from _of_answers(spot.at("answers"), old.operation, new.operation)
    yield from _of_security(spot.at("security"), old.operation, new.operation)
    yield from of_words(spot, old.operation, new.operation, ("operationId", "tags", "summary"))


def _of_parameters(spot: Spot, old: Described, new: Described) -> Iterator[Change]:
    before, after = _named(spot.old, old), _named(spot.new, new)
    for name in [*before, *(name for name in after if name not in before)]:
        place = spot.at(name)
        if name not in after:
            yield place.breaks("removed")
        elif name not in before:
            yield place.ok("added")
        else:
            yield from of_need(place, before[name].get("required"), after[name].get("required"))
            yield from of_schema(place, _schema_of(before[name]), _schema_of(after[name]))
            yield from _of_style(place, before[name], after[name])
            yield from of_words(place, before[name], after[name])


def _named(document: Mapping[str, Any], described: Described) -> dict[str, Mapping[str, Any]]:
    """Parameters by place and name; names of headers ignore case."""
    found = {}
    for _, parameter in parameters(document, described):
        place, name = str(parameter.get("in")), str(parameter.get("name"))
        found[f"{place} {name.lower() if place == 'header' else name}"] = parameter
    return found


def _of_style(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """How a parameter is written, where its values are more than one text."""
    for was, now in zip(_style(old), _style(new), strict=True):
        if was != now:
            yield spot.breaks(f"was written as {was}, now as {now}")


def _style(parameter: Mapping[str, Any]) -> tuple[str, str]:
    default = "form" if parameter.get("in") in ("query", "cookie") else "simple"
    style = str(parameter.get("style", default))
    explode = parameter.get("explode", style == "form")
    content = ", ".join(members(parameter, "content"))
    return content or style, "one for each value" if explode else "one for all values"


def _schema_of(parameter: Mapping[str, Any]) -> Any:
    content: Any = next(iter(members(parameter, "content").values()), {})
    return parameter.get("schema", content.get("schema", {}))


def _of_body(spot: Spot, old: Described, new: Described) -> Iterator[Change]:
    before, _ = resolved(spot.old, old.operation.get("requestBody"), ())
    after, _ = resolved(spot.new, new.operation.get("requestBody"), ())
    body = spot.at("body")
    if before and not after:
        yield body.breaks("no longer sent")
        return
    if before:
        yield from of_need(body, before.get("required"), after.get("required"))
        yield from of_words(body, before, after)
    elif after:
        yield body.ok("added")
        return
    contents = _by_media_type(before), _by_media_type(after)
    for media_type in dict.fromkeys([*contents[0], *contents[1]]):
        yield from _of_media(spot.at("$"), media_type, *contents)


def _of_media(
    spot: Spot, media_type: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    place = spot.at("content type")
    if media_type not in new:
        yield place.breaks(f"{media_type} is no longer sent")
    elif media_type not in old:
        yield place.breaks(f"{media_type} may arrive now")
    else:
        several = replace(spot, among=media_type if len(old) > 1 else "")
        before, after = members(old, media_type), members(new, media_type)
        yield from of_schema(several, before.get("schema", {}), after.get("schema", {}))
        if any(before.get(word) != after.get(word) for word in ("example", "examples")):
            yield several.wording("examples changed")


def _of_answers(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """What the receiver may answer: it relies on each status that counted as success."""
    before, after = _successes(old), _successes(new)
    told = f"success was {', '.join(before)}, now {', '.join(after)}"
    if _statuses(before) - _statuses(after):
        yield spot.breaks(told)
    elif _statuses(after) - _statuses(before):
        yield spot.ok(told)
    for code in [code for code in before if code in after]:
        yield from _of_answer(spot, code, old, new)
    others = [sorted(set(members(one, "responses")) - set(_successes(one))) for one in (old, new)]
    for code in sorted(set(others[0]) ^ set(others[1])):
        yield spot.ok(f"{code} is {'no longer' if code in others[0] else 'now'} documented")


def _of_answer(
    spot: Spot, code: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    """The body that a receiver gives: what it gave before must still be accepted."""
    before = _content(spot.old, members(old, "responses").get(code))
    after = _content(spot.new, members(new, "responses").get(code))
    if after and not before:
        yield spot.breaks(f"{code} is to carry a body now")
    for media_type in before if after else ():
        if media_type not in after:
            yield spot.breaks(f"{code} is no longer to be {media_type}")
            continue
        schemas = (members(one, media_type).get("schema", {}) for one in (after, before))
        found = [c for c in of_schema(spot.backwards().at("$"), *schemas) if not c.wording]
        for change in found:
            if change.breaks:
                yield spot.breaks(f"the body of {code} must be another: see {change.path}")
                break


def _content(document: Any, holder: Any) -> Mapping[str, Any]:
    found, _ = resolved(document, holder, ())
    return _by_media_type(found)


def _by_media_type(holder: Any) -> Mapping[str, Any]:
    """What a body may be; names of media types ignore case, and JSON is UTF-8 (RFC 8259, 8.1)."""
    found = members(holder, "content")
    return {re.sub(r"\s*;\s*charset=\"?utf-8\"?", "", name.lower()): found[name] for name in found}


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


#: What stands for no proof at all, which is what an empty list of security means.
_NOTHING = as_text([{}, {}])


def _of_security(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """A receiver can check what it checked, and needs no more if it checked nothing."""
    before, after = _security(spot.old, old), _security(spot.new, new)
    if before == after:
        return
    if before == {_NOTHING}:
        yield spot.ok("the request proves its sender now")
    elif after < before:
        yield spot.ok("one of the ways to prove the sender is gone")
    else:
        yield spot.breaks("how the request proves its sender changed")


def _security(document: Mapping[str, Any], operation: Mapping[str, Any]) -> set[str]:
    """The ways to prove the sender, each with what it names but without words about it."""
    known = members(members(document, "components"), "securitySchemes")
    found = set()
    for requirement in listed(operation if "security" in operation else document, "security"):
        named = requirement if isinstance(requirement, Mapping) else {}
        schemes = {
            name: {k: v for k, v in members(known, name).items() if k != "description"}
            for name in named
        }
        scopes = {name: sorted(map(str, listed(named, name))) for name in named}
        found.add(as_text([schemes, scopes]))
    return found or {_NOTHING}
