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
    FilterError,
    RefusedHeaderError,
    RefusedURLError,
    SecretError,
    UnknownWebhookError,
    WebhooksError,
)
from ...rules.failures import refusal_in_words
from ...rules.urls import shown

CONTENT_TYPE = "application/problem+json"

#: What a request can cause; each has the sentence that its exception has.
_OF_REQUESTS: Mapping[type[WebhooksError], str] = {
    RefusedURLError: "refused-url",
    RefusedHeaderError: "refused-header",
    FilterError: "filter",
    UnknownWebhookError: "unknown-webhook",
    SecretError: "secret",
}


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
        return problem(422, words, _OF_REQUESTS[RefusedURLError], rule=error.rule)

    def refused(error: WebhooksError) -> Response:
        codes = (code for kind, code in _OF_REQUESTS.items() if isinstance(error, kind))
        return problem(422, str(error), next(codes, "refused"))

    def http(error: HTTPException) -> Response:
        status = error.code or 500
        code = HTTPStatus(status).phrase.lower().replace(" ", "-")
        return problem(status, str(error.description or HTTPStatus(status).phrase), code)

    blueprint.register_error_handler(ValidationError, invalid)
    blueprint.register_error_handler(RefusedURLError, refused_url)
    blueprint.register_error_handler(WebhooksError, refused)
    blueprint.register_error_handler(HTTPException, http)
