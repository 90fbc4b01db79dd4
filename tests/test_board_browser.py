"""The board and the portal as people use them: every journey clicked, wide and narrow."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, redirect
from marshmallow import Schema, fields

from flask_webhooks import Webhooks
from flask_webhooks.deliver.presence import Presence
from tests import browsers
from tests.browsers import DESKTOP, PHONE, seen, served, violations
from tests.conftest import Receiver

browser, axe = browsers.browser, browsers.axe

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
LONG = "a-host-name-so-long-that-no-phone-has-room-for-it-in-one-line.example"


class Booking(Schema):
    id = fields.Integer(required=True)
    train = fields.String()


@dataclass
class Shop:
    """An app with something in its store."""

    app: Flask
    webhooks: Webhooks
    base: str
    #: Ids of a message that failed, and of its subscription.
    failed: str
    subscription: str

    def deliver(self) -> None:
        """Make what is due."""
        with self.app.app_context():
            self.webhooks.run_until_idle()


@pytest.fixture
def make_shop(make_app: Callable[..., Flask], receiver: Receiver) -> Callable[[], Flask]:
    """Makes the app, empty."""

    def make() -> Flask:
        webhooks, app = Webhooks(), make_app(WEBHOOKS_SCHEDULE=[0], WEBHOOKS_TITLE="Shop")
        webhooks.webhook("booking.new", Booking, summary="A seat was booked")
        webhooks.webhook("booking.gone", {"type": "object"})
        webhooks.init_app(app)
        app.register_blueprint(webhooks.board(lambda: "write"), url_prefix="/board")
        app.register_blueprint(webhooks.portal(), url_prefix="/portal")
        app.add_url_rule("/mine", "mine", lambda: redirect(webhooks.portal_link("ann")))
        app.extensions["shop"] = webhooks
        return app

    return make


@pytest.fixture
def shop(make_shop: Callable[[], Flask], receiver: Receiver) -> Iterator[Shop]:
    """The app with a failure, a success, a disabled subscription, a long URL and a worker."""
    app = make_shop()
    webhooks: Webhooks = app.extensions["shop"]
    receiver.answers[:] = [500, 200, 500]
    with app.app_context():
        mine = webhooks.subscribe(receiver.url, ["booking.*"], tenant="ann")
        off = webhooks.subscribe(f"https://{LONG}/{'x' * 60}", ["*"], tenant="ann")
        webhooks.disable(off)
        ids = []
        for n in range(3):
            message = webhooks["booking.new"].send({"id": n, "train": "T" * 200}, tenant="ann")
            webhooks.run_until_idle()
            ids.append(message.id)
    presence = Presence(app.extensions["webhooks"].database, time.time)
    presence.arrive("process")
    presence.beat_if_due()
    with served(app) as base:
        yield Shop(app, webhooks, base, ids[0], mine.id)


PAGES = ["/board/", "/board/messages", "/board/messages/{failed}?subscription={subscription}",
         "/board/subscriptions", "/board/webhooks", "/board/subscriptions/{subscription}",
         "/board/failed", "/board/failed/replay", "/board/subscribe", "/board/messages/none",
         "/portal/", "/portal/messages/{failed}", "/portal/subscribe"]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@SIZES
def test_every_page_is_accessible_and_fits(
    browser: Any, axe: Path, shop: Shop, size: Any, scheme: str
) -> None:
    """Of the board and of the portal, no page has a violation that axe knows of, is wider than the
    window, calls anybody, or complains of anything; with every part opened."""
    options = {"viewport": size, "color_scheme": scheme, "bypass_csp": True}
    with seen(browser, shop.base, **options) as watched:
        page = watched.page
        page.goto(f"{shop.base}/mine")
        for path in PAGES:
            page.goto(shop.base + path.format(failed=shop.failed, subscription=shop.subscription))
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

            assert watched.overflow <= 0, path
            assert violations(page, axe) == [], path
        page.goto(f"{shop.base}/portal/enter/forged")
        assert violations(page, axe) == []
        # The pages that are not there are answered so, and the browser tells of it.
        told = [text for text in watched.console if "404" not in text and "403" not in text]
        assert (told, watched.foreign) == ([], [])


@SIZES
def test_an_empty_store_looks_well(
    browser: Any, axe: Path, make_shop: Callable[[], Flask], size: Any
) -> None:
    """Where there is nothing yet, each page says so."""
    with (
        served(make_shop()) as base,
        seen(browser, base, viewport=size, bypass_csp=True) as watched,
    ):
        for path, words in {
            "/": "Nothing was tried in the last day.", "/messages": "Nothing has been sent yet.",
            "/subscriptions": "Nobody has subscribed yet.", "/failed": "Nothing has failed.",
        }.items():  # fmt: skip
            watched.page.goto(f"{base}/board{path}")
            assert watched.page.get_by_text(words).is_visible()
            assert watched.overflow <= 0
            assert violations(watched.page, axe) == []


@SIZES
def test_an_answer_is_seen_whole(browser: Any, shop: Shop, receiver: Receiver, size: Any) -> None:
    """One without spaces breaks into lines, as one with them does."""
    receiver.words = "x" * 600
    with shop.app.app_context():
        message = shop.webhooks["booking.new"].send({"id": 9}, tenant="ann")
    shop.deliver()
    with seen(browser, shop.base, viewport=size) as watched:
        watched.page.goto(f"{shop.base}/board/messages/{message.id}")
        watched.page.evaluate(
            "document.querySelectorAll('details').forEach(d => { d.open = true })"
        )
        answer = watched.page.locator("pre", has_text="x" * 600)
        assert answer.evaluate("e => e.scrollWidth - e.clientWidth") == 0


@SIZES
def test_a_failures_reason_is_one_click_away(browser: Any, shop: Shop, size: Any) -> None:
    """From the overview to the receiver's own words, under the page's own policy, no script."""
    with seen(browser, shop.base, viewport=size, java_script_enabled=False) as watched:
        page = watched.page
        page.goto(f"{shop.base}/board/")
        page.get_by_role("region", name="Deliveries with a failed").get_by_role(
            "link", name="booking.new"
        ).last.click()

        assert page.url.startswith(f"{shop.base}/board/messages/{shop.failed}#delivery-")
        assert page.get_by_text("noted").is_visible()
        assert page.get_by_text("500 Internal Server Error").last.is_visible()
        assert (watched.console, watched.foreign) == ([], [])


@SIZES
def test_an_operators_day(browser: Any, shop: Shop, receiver: Receiver, size: Any) -> None:
    """Find what failed, send it again after a count, and see that it arrived."""
    with seen(browser, shop.base, viewport=size, java_script_enabled=False) as watched:
        page = watched.page
        page.goto(f"{shop.base}/board/")
        page.get_by_role("link", name="Failed").click()
        page.get_by_label("Webhook").select_option("booking.new")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name="Send all of these again").click()
        assert page.get_by_text("2 deliveries will be made again").is_visible()
        page.get_by_role("button", name="Send 2 deliveries again").click()
        assert page.get_by_role("status").inner_text() == "2 deliveries sent again."
        shop.deliver()
        page.reload()
        assert page.get_by_text("Nothing that failed is like that.").is_visible()
        assert len(receiver.received) == 5

        page.get_by_role("link", name="Messages").click()
        page.get_by_role("link", name="booking.new").first.click()
        page.get_by_role("button", name="Send again").click()
        assert page.get_by_role("status").inner_text() == "1 delivery sent again."
        assert page.get_by_text("and waits for its turn.").is_visible()
        page.get_by_role("link", name="Look again every 10 seconds").click()
        assert page.get_by_text("This page looks again every 10 seconds").is_visible()
        assert (watched.console, watched.foreign) == ([], [])


@SIZES
def test_a_customers_day(browser: Any, shop: Shop, receiver: Receiver, size: Any) -> None:
    """Come by the link, subscribe, test, rotate, disable, enable and delete, all by clicking; the
    address never shows the token."""
    with seen(browser, shop.base, viewport=size, java_script_enabled=False) as watched:
        page = watched.page
        page.goto(f"{shop.base}/mine")
        assert page.url == f"{shop.base}/portal/"
        page.get_by_role("link", name="Subscriptions").first.click()
        page.get_by_role("link", name="Subscribe a URL").click()
        page.get_by_label("URL").fill(receiver.url + "/second")
        page.get_by_label("booking.new").check()
        page.get_by_role("button", name="Subscribe").click()
        first = page.get_by_text(re.compile("whsec_")).inner_text()
        page.get_by_role("link", name=re.compile("^sub_")).click()

        page.get_by_role("button", name="Send a test").click()
        assert "A test message is on its way" in page.get_by_role("status").inner_text()
        shop.deliver()
        page.reload()
        assert page.get_by_text("The receiver accepted it with 200").is_visible()
        page.get_by_role("heading", level=3).get_by_role("link").click()

        page.get_by_text("New secret", exact=True).click()
        page.get_by_label("The one before signs for").select_option("an hour")
        page.get_by_role("button", name="Make a new secret").click()
        assert page.get_by_text(re.compile("whsec_")).inner_text() != first
        page.get_by_role("link", name=re.compile("^sub_")).click()
        page.get_by_role("button", name="Disable").click()
        assert "is disabled" in page.get_by_role("status").inner_text()
        page.get_by_role("button", name="Enable").click()
        assert "is enabled" in page.get_by_role("status").inner_text()
        page.get_by_text("Delete", exact=True).click()
        page.get_by_role("button", name="Delete it for good").click()
        assert "are deleted" in page.get_by_role("status").inner_text()
        assert page.get_by_text("/second").count() == 0
        assert (watched.console, watched.foreign) == ([], [])


def test_another_sites_form_changes_nothing(browser: Any, shop: Shop) -> None:
    """A page of another origin that posts to the board is refused by what Chromium sends."""
    action = f"{shop.base}/board/subscriptions/{shop.subscription}/disable"
    form = f'<form method="post" action="{action}"><button>Win</button></form>'
    with seen(browser, shop.base) as watched:
        watched.page.set_content(form)
        watched.page.get_by_role("button").click()

        assert watched.page.get_by_text("Not from here").is_visible()


def test_the_board_is_used_by_the_keyboard(browser: Any, shop: Shop) -> None:
    """The first key press shows the way past the navigation; a message opens by Enter."""
    with seen(browser, shop.base, viewport=PHONE) as watched:
        page = watched.page
        page.goto(f"{shop.base}/board/messages")
        page.keyboard.press("Tab")
        assert page.get_by_text("Skip to the content").is_visible()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        page.get_by_role("link", name="booking.new").first.focus()
        page.keyboard.press("Enter")

        assert page.get_by_role("heading", level=1).inner_text() == "booking.new"
