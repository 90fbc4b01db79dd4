"""The dispatcher: what is due is published once, put back when it can't be, and never lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask import Flask

from flask_webhooks import Webhooks
from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.transport import Outgoing
from flask_webhooks.exceptions import ConfigurationError

START = 1_800_000_000.0


class Shop:
    """An app whose deliveries are published to a list, and made when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.webhooks = Webhooks()
        self.happened = self.webhooks.webhook("happened", {"type": "object"})
        self.app = Flask("shop", instance_path=str(folder))
        self.app.config.update(TESTING=True, WEBHOOKS_SCHEDULE=[0, 60])
        self.webhooks.init_app(self.app)
        self.state = self.app.extensions["webhooks"]
        self.state.clock = lambda: self.now
        self.published: list[list[int]] = []
        self.sent: list[Outgoing] = []
        self.status = 204
        self.state.worker._transport.send = self.answer

    def answer(self, outgoing: Outgoing) -> Outcome:
        self.sent.append(outgoing)
        return Outcome(reason=Reason.answered, status=self.status, duration=0.1)

    def publish(self, delivery_ids: list[int]) -> None:
        self.published.append(delivery_ids)

    def deliver_published(self) -> None:
        while self.published:
            self.webhooks.deliver(self.published.pop(0))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with one subscription; tests run in its app's context."""
    made = Shop(tmp_path)
    with made.app.app_context():
        made.webhooks.subscribe("https://a.example/hook", ["happened"])
        made.webhooks.publish_by(made.publish)
        made.state.delivering.dispatcher.wake = lambda: None  # nothing on a thread
    return made


def statuses(shop: Shop) -> list[str]:
    return [str(d.status) for d in shop.webhooks.deliveries()]


def test_what_is_due_is_published_once_and_delivered_by_its_ids(shop: Shop) -> None:
    """A second dispatch finds nothing, and a task that runs twice sends nothing twice."""
    with shop.app.app_context():
        shop.happened.send({})
        assert [shop.webhooks.dispatch(), shop.webhooks.dispatch()] == [1, 0]
        [ids] = shop.published
        shop.webhooks.deliver(ids)
        shop.webhooks.deliver(ids)
        assert len(shop.sent) == 1
        assert statuses(shop) == ["delivered"]


def test_no_more_of_one_subscription_is_published_than_may_be_under_way(shop: Shop) -> None:
    """Of seven, four go first; the rest follow when those are done."""
    with shop.app.app_context():
        for _ in range(7):
            shop.happened.send({})
        assert shop.webhooks.dispatch() == 4
        shop.deliver_published()
        assert shop.webhooks.dispatch() == 3
        shop.deliver_published()
        assert statuses(shop) == ["delivered"] * 7


def test_what_a_broker_loses_is_published_again(shop: Shop) -> None:
    """After a minute, not before."""
    with shop.app.app_context():
        shop.happened.send({})
        shop.webhooks.dispatch()
        shop.published.clear()
        shop.now += 59
        assert shop.webhooks.dispatch() == 0
        shop.now += 1
        assert shop.webhooks.dispatch() == 1
        shop.deliver_published()
        assert statuses(shop) == ["delivered"]


def test_what_cannot_be_published_is_due_at_once(shop: Shop) -> None:
    """An engine's error reaches the caller; the next dispatch publishes the same delivery."""
    with shop.app.app_context():
        shop.happened.send({})

        @shop.webhooks.publish_by
        def away(delivery_ids: list[int]) -> None:
            raise ConnectionError("The broker is away.")

        with pytest.raises(ConnectionError):
            shop.webhooks.dispatch()
        shop.webhooks.publish_by(shop.publish)
        assert shop.webhooks.dispatch() == 1


def test_a_retry_is_published_when_it_is_due(shop: Shop) -> None:
    """No engine is told of a time: the row says when to come again."""
    with shop.app.app_context():
        shop.status = 500
        shop.happened.send({})
        shop.webhooks.dispatch()
        shop.deliver_published()
        assert shop.webhooks.dispatch() == 0
        shop.now += 60
        shop.status = 204
        assert shop.webhooks.dispatch() == 1
        shop.deliver_published()
        assert statuses(shop) == ["delivered"]


def test_a_worker_leaves_alone_what_is_enqueued(shop: Shop) -> None:
    """Workers of both kinds may serve one database: each delivery is made by one of them."""
    with shop.app.app_context():
        shop.happened.send({})
        shop.webhooks.dispatch()
        shop.webhooks.run_until_idle()
        assert shop.sent == []
        shop.deliver_published()
        assert len(shop.sent) == 1


def test_sending_never_waits_for_an_engine(shop: Shop) -> None:
    """While it blocks, messages are stored, and published from another thread."""
    entered, leave = threading.Event(), threading.Event()

    def blocks(delivery_ids: list[int]) -> None:
        entered.set()
        leave.wait(10)

    with shop.app.app_context():
        shop.webhooks.publish_by(blocks)
        shop.happened.send({})
        assert entered.wait(10)
        shop.happened.send({})
        assert len(shop.webhooks.deliveries()) == 1
    leave.set()


def test_without_an_engine_there_is_nothing_to_dispatch_to(tmp_path: Path) -> None:
    """The error says what to set."""
    webhooks = Webhooks()
    app = Flask("shop", instance_path=str(tmp_path))
    webhooks.init_app(app)
    with app.app_context(), pytest.raises(ConfigurationError, match="WEBHOOKS_WORKER"):
        webhooks.dispatch()


@pytest.mark.parametrize("given", [None, "not a Celery app"])
def test_celery_must_be_there_first(tmp_path: Path, given: object) -> None:
    """Otherwise no task could be registered: the error says where it was looked for."""
    pytest.importorskip("celery")
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(WEBHOOKS_WORKER="celery", WEBHOOKS_CELERY=given)
    with pytest.raises(ConfigurationError, match="initialize Celery first"):
        Webhooks(app)
