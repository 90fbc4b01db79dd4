"""An OpenAPI document's webhooks and callbacks as an AsyncAPI 3.0 document.

What AsyncAPI has no words for stays behind each operation's ``x-openapi``, which points to it.
Source: AsyncAPI 3.0.0 and its HTTP bindings 0.3.0.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ..exceptions import ExpressionError
from ..rules.expressions import parse
from .reading import At, Described, fragment, listed, members, operations, parameters, resolved
from .references import SCHEMAS, component_name, lookup, rewritten, unanchored

ASYNCAPI_VERSION = "3.0.0"

#: What OpenAPI 3.1's schemas are: AsyncAPI's own dialect is older, so each says it.
_DIALECT = "application/schema+json;version=draft-2020-12"
_METHODS = {"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"}
_BINDING_VERSION = "0.3.0"


def asyncapi(document: Mapping[str, Any], *, url: str | None) -> dict[str, Any]:
    """Every webhook and callback, as ``send`` operations on channels whose address is not known.

    A callback is also the reply to the call that gives its URL: a ``receive`` operation.

    :param document: a valid OpenAPI document.
    :param url: where it is served, for each ``x-openapi``.
    """
    document = unanchored(document)
    book = _Book(document, url)
    for described in operations(document):
        if described.kind != "path":
            channel = book.add_request(described)
            if described.parent is not None:
                book.add_call(described.parent, described, channel)
    made: dict[str, Any] = {
        "asyncapi": ASYNCAPI_VERSION,
        "info": _info(document),
        "defaultContentType": "application/json",
        "channels": book.channels,
        "operations": book.operations,
    }
    if components := book.components():
        made["components"] = components
    return copy.deepcopy(made)


class _Book:
    """Writes one AsyncAPI document, operation by operation."""

    def __init__(self, document: Mapping[str, Any], url: str | None) -> None:
        self._document = document
        self._url = url
        self.channels: dict[str, Any] = {}
        self.operations: dict[str, Any] = {}
        self._names: dict[tuple[At, str], str] = {}
        self._written: set[tuple[At, str]] = set()
        #: Every schema that was referred to, as it stands in the OpenAPI document.
        self._found: dict[str, Any] = {}
        #: What each of them is called here, by the reference to it.
        self._called: dict[str, str] = {}
        self._schemes: dict[str, Any] = {}

    def add_request(self, described: Described) -> str:
        """Add a webhook or callback, once, with its answers; gives the name of its channel."""
        channel = self._channel(described)
        if (described.at, described.name) in self._written:
            return channel
        self._written.add((described.at, described.name))
        name = _free(_id(described), self.operations)
        operation = self._operation(channel, described, name)
        if replies := self._replies(described, name):
            home = _free(f"{name}.reply", self.channels)
            self.channels[home] = {"address": None, "messages": replies}
            operation["reply"] = {
                "channel": _reference("channels", home),
                "messages": [_reference("channels", home, "messages", reply) for reply in replies],
            }
        self.operations[name] = operation
        return channel

    def add_call(self, call: Described, callback: Described, channel: str) -> None:
        """Add the call that gives a callback's URL; the callback is the reply to it."""
        name = _free(f"{_id(call)}.{callback.name}", self.operations)
        operation = self._operation(self._channel(call), call, _id(call))
        operation["x-openapi"]["expression"] = callback.expression
        operation["reply"] = {
            "channel": _reference("channels", channel),
            "messages": self._messages_of(channel, callback),
        }
        location = _location(callback.expression or "")
        if location:
            operation["reply"]["address"] = {"location": location}
        self.operations[name] = operation

    def _channel(self, described: Described) -> str:
        """The name of the channel for a Path Item; the channel is made on first need."""
        key = (described.item_at, described.name)
        if key not in self._names:
            name = self._names[key] = _free(described.name, self.channels)
            address = described.name if described.kind == "path" else None
            self.channels[name] = {"address": address, "messages": {}}
            if variables := re.findall(r"\{([^{}]*)\}", address or ""):
                self.channels[name]["parameters"] = {
                    variable: self._variable(described, variable) for variable in variables
                }
        return self._names[key]

    def _variable(self, described: Described, name: str) -> dict[str, Any]:
        """A variable of a path, as far as a Parameter Object can say it."""
        for _, parameter in parameters(self._document, described):
            if (parameter.get("in"), parameter.get("name")) == ("path", name):
                values = listed(parameter.get("schema"), "enum")
                known = {"enum": [str(value) for value in values]} if values else {}
                return {**_words(parameter, "description"), **known}
        return {}

    def _operation(self, channel: str, described: Described, name: str) -> Any:
        self.channels[channel]["messages"] |= self._requests(described, name)
        operation: dict[str, Any] = {
            "action": _action(described),
            "channel": _reference("channels", channel),
            "messages": self._messages_of(channel, described),
            "bindings": {"http": self._binding(described)},
            **_words(described.operation, "summary", "description", "externalDocs"),
            "x-openapi": self._origin(described),
        }
        if tags := self._tags(described.operation):
            operation["tags"] = tags
        if security := self._security(described.operation):
            operation["security"] = security
        return operation

    def _messages_of(self, channel: str, described: Described) -> list[dict[str, str]]:
        """References to the messages of one operation on a channel that several may share."""
        return [
            _reference("channels", channel, "messages", name)
            for name, message in self.channels[channel]["messages"].items()
            if message["x-openapi"]["pointer"] == fragment(described.at)
        ]

    def _origin(self, described: Described) -> dict[str, Any]:
        origin = {"pointer": fragment(described.at)}
        if self._url is not None:
            origin = {"document": self._url, **origin}
        if described.expression is not None:
            origin["expression"] = described.expression
        return origin

    def _requests(self, described: Described, name: str) -> dict[str, Any]:
        """One message for each media type of a request body; one without payload if it has none."""
        body, _ = resolved(self._document, described.operation.get("requestBody"), ())
        content = members(body, "content") or {"": {}}
        headers = self._fields(described, "header")
        made = {}
        for index, (media_type, media) in enumerate(content.items()):
            message: dict[str, Any] = {"name": described.name, **self._payload(media_type, media)}
            if headers:
                message["headers"] = {"schemaFormat": _DIALECT, "schema": headers}
            message |= {**_words(body, "description"), "x-openapi": self._origin(described)}
            made[name if index == 0 else f"{name}.{media_type}"] = message
        return made

    def _replies(self, described: Described, name: str) -> dict[str, Any]:
        """One message for each exact status and media type that is answered."""
        made: dict[str, Any] = {}
        for code, response in members(described.operation, "responses").items():
            response, _ = resolved(self._document, response, ())
            for media_type, media in (members(response, "content") or {"": {}}).items():
                if str(code).isdecimal():
                    wish = f"{name}.{code}"
                    made[wish if wish not in made else f"{wish}.{media_type}"] = {
                        **self._payload(media_type, media),
                        **self._answer_headers(response),
                        **_words(response, "description"),
                        "bindings": {
                            "http": {"statusCode": int(code), "bindingVersion": _BINDING_VERSION}
                        },
                    }
        return made

    def _answer_headers(self, response: Mapping[str, Any]) -> dict[str, Any]:
        headers = [
            {**resolved(self._document, header, ())[0], "name": name}
            for name, header in members(response, "headers").items()
        ]
        schema = self._object(headers)
        return {"headers": {"schemaFormat": _DIALECT, "schema": schema}} if schema else {}

    def _payload(self, media_type: str, media: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"contentType": media_type} if media_type else {}
        if isinstance(media, Mapping) and "schema" in media:
            schema = self._schema(media["schema"])
            reference = schema.get("$ref", "") if isinstance(schema, Mapping) else ""
            alone = re.fullmatch(rf"({re.escape(SCHEMAS)}[^/]+)/schema", reference)
            made["payload"] = (
                {"$ref": alone[1]}
                if alone and len(schema) == 1
                else {"schemaFormat": _DIALECT, "schema": schema}
            )
        if examples := list(self._examples(media)):
            made["examples"] = examples
        return made

    def _examples(self, media: Any) -> Iterator[dict[str, Any]]:
        if isinstance(media, Mapping) and "example" in media:
            yield {"payload": media["example"]}
        for name, example in members(media, "examples").items():
            example, _ = resolved(self._document, example, ())
            if "value" in example:
                yield {"name": name, **_words(example, "summary"), "payload": example["value"]}

    def _binding(self, described: Described) -> dict[str, Any]:
        binding: dict[str, Any] = {"bindingVersion": _BINDING_VERSION}
        if described.method in _METHODS:
            binding["method"] = described.method
        if query := self._fields(described, "query"):
            binding["query"] = query
        return binding

    def _fields(self, described: Described, place: str) -> dict[str, Any] | None:
        """The parameters of an operation in the header or the query, as the schema of an object."""
        found = [parameter for _, parameter in parameters(self._document, described)]
        return self._object([p for p in found if p.get("in") == place])

    def _object(self, fields: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        if not fields:
            return None
        properties = {str(field.get("name")): self._property(field) for field in fields}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if required := [str(f.get("name")) for f in fields if f.get("required") is True]:
            schema["required"] = required
        return schema

    def _property(self, field: Mapping[str, Any]) -> Any:
        content: Any = next(iter(members(field, "content").values()), {})
        schema = self._schema(field.get("schema", members(content, "schema")))
        words = _words(field, "description", "deprecated")
        if "example" in field:
            words["examples"] = [field["example"]]
        return {**schema, **words} if isinstance(schema, Mapping) else schema

    def _schema(self, schema: Any) -> Any:
        """A schema whose references lead to components of this document, which are noted."""
        return rewritten(schema, self._moved)

    def _moved(self, reference: str) -> str:
        rest = ""
        if component_name(reference) is not None:
            head, slash, rest = reference.removeprefix(SCHEMAS).partition("/")
            reference, rest = SCHEMAS + head, slash + rest
        found = lookup(self._document, reference)
        if found is None:
            return reference + rest
        name = self._called.get(reference)
        if name is None:
            wish = component_name(reference) or unquote(reference[2:])
            # AsyncAPI 3.0.0, "Components Object": no other characters may name a component.
            name = _free(re.sub(r"[^A-Za-z0-9_.-]+", "_", wish), self._found)
            self._called[reference], self._found[name] = name, found[0]
        # A component is a schema with its format beside it, so the schema stands one step deeper.
        return f"{SCHEMAS}{name}/schema{rest}"

    def _tags(self, operation: Mapping[str, Any]) -> list[dict[str, Any]]:
        told = {tag.get("name"): tag for tag in listed(self._document, "tags")}
        names = dict.fromkeys(listed(operation, "tags"))
        return [_tag(told.get(name, {"name": name})) for name in names]

    def _security(self, operation: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The schemes of which one is enough; nothing where AsyncAPI can't say what is needed."""
        requirements = listed(operation if "security" in operation else self._document, "security")
        made = []
        for requirement in requirements:
            if not isinstance(requirement, Mapping) or len(requirement) != 1:
                return []
            [(name, scopes)] = requirement.items()
            scheme = self._scheme(name)
            if scheme is None:
                return []
            reference = _reference("components", "securitySchemes", name)
            one = {**scheme, "scopes": list(scopes)} if scopes else reference
            if one not in made:
                made.append(one)
        return made

    def _scheme(self, name: str) -> dict[str, Any] | None:
        known = members(members(self._document, "components"), "securitySchemes")
        scheme, _ = resolved(self._document, known.get(name), ())
        converted = _security_scheme(scheme)
        if converted is not None:
            self._schemes[name] = converted
        return converted

    def components(self) -> dict[str, Any]:
        """What was referred to, sorted by name."""
        schemas: dict[str, Any] = {}
        while waiting := [name for name in self._found if name not in schemas]:
            for name in waiting:
                schema = self._schema(self._found[name])
                schemas[name] = {"schemaFormat": _DIALECT, "schema": schema}
        found = {"schemas": schemas, "securitySchemes": self._schemes}
        return {field: dict(sorted(made.items())) for field, made in found.items() if made}


def _id(described: Described) -> str:
    given = described.operation.get("operationId")
    return str(given) if given else f"{described.name}.{described.method.lower()}"


def _action(described: Described) -> str:
    """Paths are called, webhooks sent; a callback goes the other way than its request."""
    if described.parent is not None:
        return "receive" if _action(described.parent) == "send" else "send"
    return "receive" if described.kind == "path" else "send"


def _free(wish: str, taken: Mapping[str, Any]) -> str:
    number, name = 1, wish
    while name in taken:
        number += 1
        name = f"{wish}{number}"
    return name


def _reference(*at: str) -> dict[str, str]:
    return {"$ref": fragment(at)}


def _words(holder: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {field: holder[field] for field in fields if field in holder}


def _tag(tag: Mapping[str, Any]) -> dict[str, Any]:
    return _words(tag, "name", "description", "externalDocs")


def _info(document: Mapping[str, Any]) -> dict[str, Any]:
    told = members(document, "info")
    info = _words(told, "title", "version", "description", "termsOfService", "contact")
    if "license" in told:
        info["license"] = _words(told["license"], "name", "url")
    if tags := {tag.get("name"): _tag(tag) for tag in listed(document, "tags")}:
        info["tags"] = list(tags.values())
    return {**info, **_words(document, "externalDocs")}


def _location(expression: str) -> str | None:
    """Input: ``{$request.body#/callbackUrl}``. Output: ``$message.payload#/callbackUrl``.

    ``None`` for what AsyncAPI can't say: all but one value of the request's body or headers.
    """
    try:
        template = parse(expression)
    except ExpressionError:
        return None
    found = template.expressions
    if len(template.parts) != 1 or len(found) != 1 or found[0].where != "request":
        return None
    [one] = found
    if one.part == "header" and one.name is not None:
        return "$message.header#/" + _token(one.name)
    if one.part == "body" and one.pointer is not None:
        return "$message.payload#" + "".join("/" + _token(token) for token in one.pointer)
    return None


def _token(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _security_scheme(scheme: Mapping[str, Any]) -> dict[str, Any] | None:
    """A Security Scheme Object in AsyncAPI's words; ``None`` for a type that it doesn't have."""
    words = _words(scheme, "description")
    match scheme.get("type"):
        case "apiKey":
            return {"type": "httpApiKey", **_words(scheme, "name", "in"), **words}
        case "http":
            name = str(scheme.get("scheme", "")).lower()
            bearer = _words(scheme, "bearerFormat") if name == "bearer" else {}
            return {"type": "http", "scheme": name, **bearer, **words}
        case "mutualTLS":
            return {"type": "X509", **words}
        case "openIdConnect":
            return {"type": "openIdConnect", **_words(scheme, "openIdConnectUrl"), **words}
        case "oauth2":
            return {"type": "oauth2", "flows": _flows(scheme), **words}
    return None


def _flows(scheme: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            **_words(flow, "authorizationUrl", "tokenUrl", "refreshUrl"),
            "availableScopes": dict(members(flow, "scopes")),
        }
        for name, flow in members(scheme, "flows").items()
        if name in ("implicit", "password", "clientCredentials", "authorizationCode")
    }
