"""Errors of the API as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from ...exceptions import (
    ConfigurationError,
    ConflictError,
    DeclarationError,
    FilterError,
    PayloadError,
    RefusedHeaderError,
    RefusedURLError,
    SecretError,
    StoreError,
    UnknownWebhookError,
    WebhooksError,
)
from ...rules.failures import refusal_in_words
from ...rules.urls import shown

CONTENT_TYPE = "application/problem+json"

#: What a request can cause: status and code. The sentence is that of the exception.
_OF_REQUESTS: Mapping[type[WebhooksError], tuple[int, str]] = {
    RefusedURLError: (422, "refused-url"),
    RefusedHeaderError: (422, "refused-header"),
    FilterError: (422, "filter"),
    UnknownWebhookError: (422, "unknown-webhook"),
    SecretError: (422, "secret"),
    ConflictError: (409, "conflict"),
}
#: What no request is to blame for: it is an error of the server, and its words are for operators.
_OF_THE_APP = (ConfigurationError, DeclarationError, PayloadError, StoreError)
#: What the answer to an error says of itself.
_OF_THE_BODY = ("content-type", "content-length")


def problem(status: int, detail: str, code: str, **more: Any) -> Response:
    """A problem details response.

    :param code: what a program tells problems of one status apart by.
    """
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, "code": code}
    return Response(json.dumps({**body, **more}), status, content_type=CONTENT_TYPE)


def answer_problems(blueprint: Blueprint) -> None:
    """Answer the errors of a blueprint's views as problems."""

    def invalid(error: ValidationError) -> Response:
        return problem(422, "The body is not what it must be.", "invalid", errors=error.messages)

    def refused_url(error: RefusedURLError) -> Response:
        # Not the error's own text, which tells an operator what the app's settings are.
        words = f"The URL '{shown(error.url)}' is refused: {refusal_in_words(error.rule)}."
        status, code = _OF_REQUESTS[RefusedURLError]
        return problem(status, words, code, rule=error.rule)

    def refused(error: WebhooksError) -> Response:
        if isinstance(error, _OF_THE_APP):
            raise error
        known = (said for kind, said in _OF_REQUESTS.items() if isinstance(error, kind))
        status, code = next(known, (422, "refused"))
        return problem(status, str(error), code)

    def http(error: HTTPException) -> Any:
        status = error.code or 500
        if error.response is not None or status < 400:
            return error  # the app's own answer, such as a redirect to its login
        phrase = HTTPStatus(status).phrase
        answer = problem(status, str(error.description or phrase), phrase.lower().replace(" ", "-"))
        for name, value in error.get_headers():
            if name.lower() not in _OF_THE_BODY:
                answer.headers[name] = value
        return answer

    blueprint.register_error_handler(ValidationError, invalid)
    blueprint.register_error_handler(RefusedURLError, refused_url)
    blueprint.register_error_handler(WebhooksError, refused)
    blueprint.register_error_handler(HTTPException, http)
