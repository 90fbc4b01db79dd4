"""Claims about the example app: its document, and its story from a terminal's point of view."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from example_app import create_app

ROOT = Path(__file__).parent.parent


@pytest.fixture
def shop(tmp_path: Path) -> Flask:
    return create_app(str(tmp_path))


@pytest.fixture
def document(shop: Flask) -> Any:
    return shop.test_client().get("/openapi.json").get_json()


def test_its_document_is_valid(document: Any) -> None:
    """The document that the shop serves is OpenAPI 3.1."""
    validate(document)


def test_its_webhooks_are_declared(document: Any) -> None:
    """All three webhooks are in the document, each with the view that causes it."""
    causes = {
        name: item["post"]["x-webhooks-emitted-by"] for name, item in document["webhooks"].items()
    }
    assert causes == {
        "newBooking": ["POST /bookings"],
        "seatUpgraded": ["POST /bookings/{booking_id}/upgrade"],
        "bookingCancelled": ["DELETE /bookings/{booking_id}"],
    }


def test_its_callback_is_declared(document: Any) -> None:
    """The order's status callback stands in the operation that takes its URL."""
    callbacks = document["paths"]["/orders"]["post"]["callbacks"]
    assert list(callbacks) == ["onOrderStatusChange"]
    assert list(callbacks["onOrderStatusChange"]) == ["{$request.body#/callbackUrl}"]


def test_what_it_refuses(shop: Flask) -> None:
    """A request that misses something, and a name that isn't declared, are answered with 422."""
    client = shop.test_client()
    wanted = {"url": "http://127.0.0.1:9/", "names": ["newBoking"]}
    assert client.post("/bookings", json={}).status_code == 422
    assert client.post("/subscriptions", json=wanted).status_code == 422


def test_its_pages_open(shop: Flask) -> None:
    """The board is there on this machine only; a customer is led into the portal."""
    client = shop.test_client()

    assert client.get("/board").status_code == 200
    assert client.get("/board", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 404
    assert client.get("/account/webhooks", follow_redirects=True).request.path == "/portal/"


def test_the_story_is_told_and_verified(tmp_path: Path) -> None:
    """``python -m example_app`` ends with 0, shows a retry and all verifications, and tidies up."""
    told = subprocess.run(
        [sys.executable, "-m", "example_app"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    assert "retry of newBooking" in told.stdout
    # newBooking twice, seatUpgraded, bookingCancelled; then the captured callback
    assert told.stdout.count("v1 verified by standardwebhooks") == 4
    assert told.stdout.count("v1a verified by flask_webhooks") == 1
    assert "refused: no signature matches" in told.stdout
    assert "Everything that was sent arrived and was verified" in told.stdout
    assert not list(tmp_path.iterdir())
