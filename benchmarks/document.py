"""Time to build the OpenAPI document, side by side with FastAPI.

Run: ``pip install fastapi``, then ``python benchmarks/document.py``.

Both describe 1,000 operations, each with a request and a response schema, and 1,000 webhooks, at 20
and at 1,000 schemas of six fields, half of them with a nested one. Timed is the CPU of the build:
``Webhooks.document()`` on an app that was not described yet, ``FastAPI.openapi()`` likewise.
The least of several runs counts, the two taking turns. The last table shows the cost for each
declaration as their number grows.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

from flask import Flask
from marshmallow import Schema, fields

from flask_webhooks import Webhooks

RUNS = 5


def timed(make: Callable[[], Callable[[], dict[str, Any]]]) -> tuple[float, int]:
    """Seconds that the first build of a fresh app takes, and the document's size in bytes.

    Each in a process of its own, so that no run is slowed down by what another has left behind.
    """
    fork = get_context("fork")
    receive, send = fork.Pipe(duplex=False)
    child = fork.Process(target=lambda: send.send(_timed(make)))
    child.start()
    found: tuple[float, int] = receive.recv()
    child.join()
    return found


def _timed(make: Callable[[], Callable[[], dict[str, Any]]]) -> tuple[float, int]:
    build = make()
    gc.collect()
    start = time.process_time()
    document = build()
    seconds = time.process_time() - start
    return seconds, len(json.dumps(document))


def marshmallow_schemas(count: int) -> list[type[Schema]]:
    """Schemas of six fields; every other one nests the one before it."""
    found: list[type[Schema]] = []
    for index in range(count):
        members: dict[str, Any] = {
            "id": fields.UUID(required=True),
            "name": fields.String(required=True),
            "count": fields.Integer(allow_none=True),
            "tags": fields.List(fields.String()),
            "at": fields.DateTime(required=True),
            "rest": fields.Nested(found[-1]) if index % 2 else fields.Float(),
        }
        found.append(type(f"Thing{index}", (Schema,), members))
    return found


def flask_webhooks(operations: int, schemas: int) -> Callable[[], dict[str, Any]]:
    """An app with this extension, not described yet."""
    webhooks, app, known = Webhooks(), Flask("bench"), marshmallow_schemas(schemas)
    for index in range(operations):
        taken, sent = known[index % schemas], known[(index + 1) % schemas]
        operation = webhooks.operation(
            summary="Do it", request=taken, responses={201: sent}, operation_id=f"do{index}"
        )
        app.add_url_rule(
            f"/things{index}/<int:number>", f"do{index}", operation(lambda: ""), methods=["POST"]
        )
        webhooks.webhook(f"done{index}", sent, summary="It was done", responses={200: "Got it."})
    webhooks.init_app(app)

    def build() -> dict[str, Any]:
        with app.app_context():
            return webhooks.document()

    return build


def pydantic_models(count: int) -> list[Any]:
    """The same schemas as pydantic models."""
    from datetime import datetime
    from uuid import UUID

    from pydantic import create_model

    found: list[Any] = []
    for index in range(count):
        rest: Any = found[-1] | None if index % 2 else float | None
        found.append(
            create_model(
                f"Thing{index}",
                id=(UUID, ...),
                name=(str, ...),
                count=(int | None, None),
                tags=(list[str], []),
                at=(datetime, ...),
                rest=(rest, None),
            )
        )
    return found


def fastapi(operations: int, schemas: int) -> Callable[[], dict[str, Any]]:
    """The same app in FastAPI, not described yet."""
    from fastapi import FastAPI

    app, known = FastAPI(title="bench"), pydantic_models(schemas)
    for index in range(operations):
        taken, sent = known[index % schemas], known[(index + 1) % schemas]
        app.post(
            f"/things{index}/{{number}}",
            summary="Do it",
            status_code=201,
            response_model=sent,
            operation_id=f"do{index}",
        )(_fastapi_view(taken))
        app.webhooks.post(f"done{index}", summary="It was done", operation_id=f"done{index}")(
            _fastapi_webhook(sent)
        )
    return app.openapi


def _fastapi_view(taken: Any) -> Callable[..., Any]:
    def view(number: int, body: Any) -> Any:
        return None

    view.__annotations__ = {"number": int, "body": taken}
    return view


def _fastapi_webhook(sent: Any) -> Callable[..., Any]:
    def webhook(body: Any) -> Any:
        return None

    webhook.__annotations__ = {"body": sent}
    return webhook


def compare(schemas: int) -> None:
    """Print one line: both times, their ratio and the sizes."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(timed(lambda: flask_webhooks(1000, schemas)))
        theirs.append(timed(lambda: fastapi(1000, schemas)))
    (mine, size), (other, other_size) = min(ours), min(theirs)
    print(
        f"{schemas:>7} {mine:>15.3f} {other:>9.3f} {mine / other:>7.2f}"
        f" {size / 1e6:>11.1f} {other_size / 1e6:>11.1f}"
    )


def growth() -> None:
    """Print what a declaration costs as their number grows."""
    for count in (250, 500, 1000, 2000, 4000):
        seconds = min(timed(lambda n=count: flask_webhooks(n, n))[0] for _ in range(2))
        print(f"{2 * count:>12} {seconds:>9.3f} {seconds / 2 / count * 1e6:>16.0f}")


if __name__ == "__main__":
    flask_webhooks(1, 1)(), fastapi(1, 1)()  # import what either imports on first need
    print("schemas  Flask-Webhooks   FastAPI   ratio     MB, ours  MB, FastAPI")
    for count in (20, 1000):
        compare(count)
    print("\ndeclarations   seconds  µs a declaration")
    growth()
