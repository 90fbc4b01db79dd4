"""Say what is wrong with a runtime expression, and guess what its author meant.

Source of the grammar: OpenAPI 3.1, "Runtime Expressions". The slips are those of public documents.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

_WHOLE = {"url": "$url", "uri": "$url", "method": "$method", "statuscode": "$statusCode"}
_WHOLE |= {"status": "$statusCode"}
_SIDES = {"request": "request", "req": "request"}
_SIDES |= {"response": "response", "resp": "response", "res": "response"}
_PARTS = {"header": "header", "query": "query", "path": "path", "body": "body"}
_PARTS |= {"args": "query", "querystring": "query", "json": "body", "form": "body"}
_PARTS |= {"payload": "body", "data": "body"}
_BOTH = ("param", "parameter")
_GLUED = re.compile(r"^(request|response)[_-]?(body|headers?|query|path)\b", re.IGNORECASE)


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` is most likely a misspelling of, whatever its case, if any."""
    by_shape = {_shape(choice): choice for choice in choices}
    near = difflib.get_close_matches(_shape(word), by_shape, n=1, cutoff=0.75)
    return by_shape[near[0]] if near else None


def fault(expression: str, reached: int) -> tuple[int, str]:
    """Where an expression outside the grammar goes wrong, and how, as part of a sentence.

    :param expression: the text, without braces.
    :param reached: how many characters of it are the longest correct expression it starts with.
    """
    if reached:
        return reached, _fault_after(expression[:reached], expression[reached])
    if not expression.startswith("$"):
        return 0, 'an expression starts with "$"' if expression else "the braces are empty"
    side = re.match(r"\$(request|response)(?![\w-])\.?", expression)
    if side is None:
        return 1, 'after "$" comes url, method, statusCode, request or response'
    part = re.compile(r"(header|query|path|cookie)s?(?![\w-])\.?").match(expression, side.end())
    if part is None:
        return side.end(), f'after "${side[1]}." comes header, query, path or body'
    if part[1] == "cookie":
        return part.start(), "an expression can't read cookies, only header, query, path and body"
    if side[1] == "response" and part[1] != "header":
        return part.start(), f"a response has no {part[1]}, only the request has one"
    if part[0].startswith(part[1] + "s"):
        return part.end(1), f'"{part[1]}" is written without an "s"'
    return part.end(), f'after "{part[1]}" comes "." and a name'


def mend(key: str, is_expression: Callable[[str], bool]) -> list[str]:
    """Whole keys that the author may have meant by ``key``; some may be wrong themselves."""
    pieces = re.split(r"\{([^{}]*)\}", _braced(key))
    wrong = [n for n in range(1, len(pieces), 2) if not is_expression(pieces[n])]
    choices = [_guesses(pieces[n]) for n in wrong]
    if not all(choices):
        return []
    found = []
    for first in choices[0] if choices else [""]:
        mended = [f"{{{piece}}}" if n % 2 else piece for n, piece in enumerate(pieces)]
        for n, guess in zip(wrong, [first, *(choice[0] for choice in choices[1:])], strict=False):
            mended[n] = guess
        found.append("".join(mended))
    return found


def _shape(word: str) -> str:
    return re.sub("[_-]", "", word).lower()


def _fault_after(correct: str, char: str) -> str:
    source, _, rest = correct.partition(".")
    if char in "{}":
        return "an expression beside other text stands in braces, one pair for each"
    if not rest:
        return f'nothing may follow "{source}" in an expression'
    part = re.split(r"[.#]", rest)[0]
    if part != "body":
        hint = "; escape it as in JSON" if char in '"\\' and part != "header" else ""
        return f"{char!r} can't stand in a {part} name{hint}"
    if "#" not in rest:
        return 'after "body" comes "#" and a JSON pointer, as in body#/id'
    if char == "~":
        return 'a JSON pointer has "~0" for "~" and "~1" for "/", and no other "~"'
    return 'a JSON pointer starts with "/"'


def _braced(key: str) -> str:
    """``key`` with single braces around everything that looks like an expression."""
    key = re.sub(r"\}+", "}", re.sub(r"\$?\{+", "{", key))
    if key.count("{") > key.count("}") and key.rfind("{") > key.rfind("}"):
        key += "}"
    if "{" not in key and key.endswith("}"):
        key = "{" + key
    if re.fullmatch(r"\w+|(request|response)\b[^{}]*", key, re.IGNORECASE):
        return f"{{{key}}}"
    if re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?([/?].*)?", key):
        return f"https://{key}"
    key = re.sub(r"^(\$[^{}]*?)(/?)(?=\{|$)", r"{\1}\2", key)
    return re.sub(r"\{[^{}]*\}|(\$(?:request|response)\.[^\s{}&?]*)", _in_braces, key)


def _in_braces(found: re.Match[str]) -> str:
    return f"{{{found[1]}}}" if found[1] else found[0]


def _guesses(expression: str) -> list[str]:
    text = expression.strip()
    words = _GLUED.sub(r"\1.\2", text.removeprefix("$").strip())
    head, rest = _cut(words)
    if _shape(head) in _WHOLE:
        return [f"{{{_WHOLE[_shape(head)]}}}" + (rest if rest.startswith("/") else "")]
    if _shape(head) in _SIDES:
        return _of_side(_SIDES[_shape(head)], rest.lstrip("./#:"))
    if _part(head):
        return _of_side("request", words)
    near = closest(head, ["statusCode", "request", "response"])
    if near:
        return _guesses(near + rest)
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", words):
        return []
    other = "query" if text.startswith("$") else "path"
    return [f"{{$request.body{_pointer('.' + words)}}}", f"{{$request.{other}.{words}}}"]


def _of_side(side: str, words: str) -> list[str]:
    head, rest = _cut(words)
    name = rest.lstrip(".#/:['\"").rstrip("'\"]")
    part = _part(head) or _part(closest(head, _PARTS) or "")
    if part == "body":
        return [f"{{${side}.body{_pointer(rest)}}}"]
    if part in ("query", "path"):
        return [f"{{$request.{part}.{name}}}"] if name else []
    if part == "header":
        return [f"{{${side}.header.{name}}}"]
    if part == "both":
        return [f"{{$request.query.{name}}}", f"{{$request.path.{name}}}"] if name else []
    if part == "cookie":
        header = "cookie" if side == "request" else "set-cookie"
        return [f"{{${side}.header.{header}}}", f"{{${side}.body{_pointer(rest)}}}"]
    return [f"{{{_WHOLE[_shape(head)]}}}"] if _shape(head) in _WHOLE else []


def _part(word: str) -> str | None:
    shape = _shape(word)
    for form in (shape, shape.removesuffix("s")):
        if form in _PARTS:
            return _PARTS[form]
    singular = shape.removesuffix("s")
    return "both" if singular in _BOTH else "cookie" if singular == "cookie" else None


def _cut(words: str) -> tuple[str, str]:
    head = re.match(r"[\w-]*", words)
    return (head[0], words[head.end() :]) if head else ("", words)


def _pointer(rest: str) -> str:
    """What follows ``body``, as ``#`` and a JSON pointer."""
    if rest.startswith("#"):
        pointer = "/" + rest[1:].removeprefix("/")
    else:
        pointer = "".join(f"/{word}" for word in re.split(r"[./#\[\]'\"]+", rest) if word)
    return "#" + re.sub(r"~(?![01])", "~0", pointer) if pointer else ""
