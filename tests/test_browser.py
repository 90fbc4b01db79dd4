"""The pages as people see them: in a real Chromium, wide and narrow, light and dark.

Besides what :mod:`tests.browsers` needs, the packages of the viewers are (``npm pack`` into
``tests/npm/packages``, as ``.ci/run`` does it). Without them these tests are skipped, or fail where
``WEBHOOKS_TEST_REQUIRE`` lists ``browser``.
"""

from __future__ import annotations

import base64
import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields, validate

from flask_webhooks import Webhooks
from flask_webhooks.manage import pages
from flask_webhooks.manage.viewers import VIEWERS, Viewer
from tests import browsers
from tests.browsers import DESKTOP, NPM, PHONE, seen, served, unavailable, violations

browser, axe = browsers.browser, browsers.axe


def packed(viewer: Viewer) -> dict[str, bytes]:
    """A viewer's files out of its npm package."""
    name = f"{viewer.package.lstrip('@').replace('/', '-')}-{viewer.version}.tgz"
    path = NPM / "packages" / name
    if not path.is_file():
        unavailable(f"no {name} in {path.parent}: npm pack {viewer.package}@{viewer.version}")
    with tarfile.open(path) as package:
        members = {file: package.extractfile(f"package/{file}") for file in viewer.files}
        return {file: member.read() for file, member in members.items() if member}


class Passenger(Schema):
    name = fields.String(required=True, metadata={"description": "As on the ticket."})
    email = fields.Email(allow_none=True)


class Booking(Schema):
    id = fields.UUID(required=True, metadata={"description": "Never changes."})
    travel_class = fields.String(data_key="travelClass", validate=validate.OneOf(["1", "2"]))
    passengers = fields.List(fields.Nested(Passenger), required=True)
    a_name_so_long_that_no_phone_has_room_for_it_in_one_line = fields.String()


class OrderRequest(Schema):
    callback_url = fields.Url(data_key="callbackUrl", required=True)


class OrderStatus(Schema):
    status = fields.String(required=True)


@pytest.fixture
def ticket_app(make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    """Makes apps that declare a webhook and a callback."""

    def make(**settings: Any) -> Flask:
        webhooks, app = Webhooks(), make_app(**settings)
        new_booking = webhooks.webhook(
            "newBooking", Booking, summary="A seat was booked", description="In `any` class."
        )

        @app.post("/bookings")
        @webhooks.operation(summary="Book a seat")
        @new_booking
        def book() -> str:
            return ""

        @app.post("/orders")
        @webhooks.operation(summary="Order by post", request=OrderRequest)
        @webhooks.callback(
            "onOrderStatus", "{$request.body#/callbackUrl}", OrderStatus, summary="Order moved on"
        )
        def order() -> str:
            return ""

        webhooks.init_app(app)
        return app

    return make


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_guide_is_accessible_and_fits(
    browser: Any, axe: Path, ticket_app: Callable[..., Flask], size: Any, scheme: str
) -> None:
    """The guide has no violation that axe knows of, is nowhere wider than the window, calls
    nobody, and complains of nothing, with every section open."""
    with (
        served(ticket_app()) as base,
        # Only axe needs what the policy forbids; another test keeps the policy.
        seen(browser, base, viewport=size, color_scheme=scheme, bypass_csp=True) as guide,
    ):
        guide.page.goto(base + "/docs/guide")
        guide.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

        assert guide.overflow <= 0
        assert violations(guide.page, axe) == []
        assert (guide.console, guide.foreign) == ([], [])


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_guide_is_styled_under_its_own_policy(
    browser: Any, ticket_app: Callable[..., Flask], size: Any
) -> None:
    """Under its policy, without any script, the guide is complete and nothing is blocked."""
    with (
        served(ticket_app()) as base,
        seen(browser, base, viewport=size, java_script_enabled=False) as guide,
    ):
        guide.page.goto(base + "/docs/guide")

        for text in ("newBooking", "onOrderStatus", "passengers[].", "A test vector"):
            assert guide.page.get_by_text(text).first.is_visible()
        assert guide.page.get_by_text("cargo add standardwebhooks").is_hidden()
        guide.page.get_by_text("Rust", exact=True).click()
        assert guide.page.get_by_text("cargo add standardwebhooks").is_visible()
        assert (guide.console, guide.foreign) == ([], [])


def test_the_guide_can_be_skipped_to(browser: Any, ticket_app: Callable[..., Flask]) -> None:
    """The first key press shows the link over the navigation; it leads to the text."""
    with served(ticket_app()) as base, seen(browser, base, viewport=PHONE) as guide:
        guide.page.goto(base + "/docs/guide")
        guide.page.keyboard.press("Tab")
        assert guide.page.get_by_text("Skip to the guide").is_visible()
        guide.page.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")

        guide.page.keyboard.press("Enter")

        assert guide.page.evaluate("document.activeElement.id") == "content"


def test_the_guide_prints_every_section(browser: Any, ticket_app: Callable[..., Flask]) -> None:
    """On paper, where nothing can be clicked, the closed sections are shown, and no navigation."""
    with served(ticket_app()) as base, seen(browser, base) as guide:
        guide.page.goto(base + "/docs/guide")
        guide.page.emulate_media(media="print")

        box = guide.page.get_by_text("cargo add standardwebhooks").bounding_box()

        assert box is not None and box["height"] > 0
        assert guide.page.get_by_role("navigation").is_hidden()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_our_part_of_the_docs_page_is_accessible_and_fits(
    browser: Any, axe: Path, ticket_app: Callable[..., Flask], size: Any
) -> None:
    """Around the viewer there is no violation that axe knows of; the page fits and calls nobody."""
    with (
        served(ticket_app()) as base,
        seen(browser, base, viewport=size, bypass_csp=True) as docs,
    ):
        docs.page.goto(base + "/docs")
        docs.page.get_by_text("newBooking").first.wait_for()

        assert docs.overflow <= 0
        assert violations(docs.page, axe, '{exclude: ["#document > *"]}') == []
        assert (docs.console, docs.foreign) == ([], [])


#: What to click in each viewer, and the texts by which it then shows the callback.
WAYS = {
    "swagger": (["Order by post", "Callbacks"], "onOrderStatus"),
    "redoc": ([], "Order moved on"),
    "scalar": ([], "onOrderStatus"),
    "elements": (["Order by post"], "onOrderStatus"),
}


@pytest.mark.parametrize("ui", sorted(VIEWERS))
def test_each_viewer_shows_webhooks_and_callbacks(
    browser: Any,
    ticket_app: Callable[..., Flask],
    ui: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Out of its pinned files, under its policy, a viewer shows the webhook and the callback,
    complains of nothing, and calls nobody but the host of those files."""
    monkeypatch.setattr(pages, "installed_files", lambda name: None)
    files = packed(VIEWERS[ui])
    pinned = {VIEWERS[ui].url(path): body for path, body in files.items()}
    clicks, callback = WAYS[ui]
    with (
        served(ticket_app(WEBHOOKS_DOCS_UI=ui)) as base,
        seen(browser, base, pinned, viewport=DESKTOP) as docs,
    ):
        docs.page.goto(base + "/docs")

        webhook = docs.page.get_by_text("newBooking").or_(
            docs.page.get_by_text("A seat was booked")
        )
        webhook.first.wait_for()
        for text in clicks:
            docs.page.get_by_text(text).first.click()
        docs.page.get_by_text(callback).filter(visible=True).first.wait_for()
        docs.page.wait_for_load_state("networkidle")

        assert (docs.console, docs.foreign) == ([], [])


def test_a_changed_file_is_not_run(
    browser: Any, ticket_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the host has changed by one byte is refused by its hash."""
    monkeypatch.setattr(pages, "installed_files", lambda name: None)
    viewer = VIEWERS["swagger"]
    pinned = {viewer.url(path): body + b"\n" for path, body in packed(viewer).items()}
    with served(ticket_app()) as base, seen(browser, base, pinned) as docs:
        docs.page.goto(base + "/docs")

        assert docs.page.evaluate("typeof window.SwaggerUIBundle") == "undefined"
        assert sum("Subresource Integrity" in text or "integrity" in text for text in docs.console)


@pytest.mark.parametrize("ui", sorted(VIEWERS))
def test_the_pinned_hashes_are_those_of_npm(ui: str) -> None:
    """Every hash in the table is that of the file in the npm package of the same version."""
    found = {
        path: base64.b64encode(hashlib.sha384(body).digest()).decode()
        for path, body in packed(VIEWERS[ui]).items()
    }

    assert found == VIEWERS[ui].files
