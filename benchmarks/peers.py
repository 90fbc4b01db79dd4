"""What people use instead: one job for each delivery, in the queue of another library.

``senders.py`` runs it as ``python peers.py NAME enqueue COUNT`` and ``python peers.py NAME work``,
with ``SINK`` (a URL), ``BROKER`` (of Redis), ``QUEUE`` and ``FOLDER`` in the environment. Each
posts by a ``requests.Session`` of its thread, signed as the standard says; none has a wall, keeps
an outcome of each attempt, or caps what goes to one receiver.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import requests

BODY = json.dumps({"id": 1, "text": "x" * 480}).encode()
_local = threading.local()


def post(n: int) -> None:
    """The job: a signed POST."""
    session = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
    name, stamp = f"msg_{n}", str(int(time.time()))
    content = b".".join((name.encode(), stamp.encode(), BODY))
    signature = base64.b64encode(hmac.digest(b"k" * 32, content, hashlib.sha256)).decode()
    headers = {
        "Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }  # fmt: skip
    session.post(os.environ["SINK"], data=BODY, headers=headers, timeout=15).raise_for_status()


class Celery:
    """Celery on Redis: two processes, acknowledged late."""

    module = "celery"
    processes = 1

    def __init__(self) -> None:
        from celery import Celery as App

        self.app = App("peers", broker=os.environ["BROKER"])
        self.app.conf.task_default_queue = os.environ["QUEUE"]
        self.app.conf.broker_connection_retry_on_startup = True
        self.app.conf.worker_hijack_root_logger = False
        self.post = self.app.task(post, name="post", acks_late=True, ignore_result=True)

    def enqueue(self, count: int) -> None:
        for n in range(count):
            self.post.delay(n)

    def work(self) -> None:
        self.app.worker_main(["worker", "-c", "2", "-l", "ERROR", "--without-gossip",
                              "--without-mingle", "--without-heartbeat"])  # fmt: skip


class Dramatiq:
    """Dramatiq on Redis: two processes of eight threads."""

    module = "dramatiq"
    processes = 2

    def __init__(self) -> None:
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker

        self.broker = RedisBroker(url=os.environ["BROKER"], namespace=os.environ["QUEUE"])
        dramatiq.set_broker(self.broker)
        self.post = dramatiq.actor(post)

    def enqueue(self, count: int) -> None:
        for n in range(count):
            self.post.send(n)

    def work(self) -> None:
        import dramatiq

        dramatiq.Worker(self.broker, worker_threads=8).start()
        threading.Event().wait()


class Huey:
    """Huey in SQLite: one process of eight threads."""

    module = "huey"
    processes = 1

    def __init__(self) -> None:
        from huey import SqliteHuey

        self.huey = SqliteHuey(filename=os.path.join(os.environ["FOLDER"], "huey.db"))
        self.post = self.huey.task()(post)

    def enqueue(self, count: int) -> None:
        for n in range(count):
            self.post(n)

    def work(self) -> None:
        self.huey.create_consumer(workers=8, worker_type="thread").run()


class RQ:
    """RQ on Redis: two workers that don't fork for each job."""

    module = "rq"
    processes = 2

    def __init__(self) -> None:
        from redis import Redis
        from rq import Queue

        self.redis = Redis.from_url(os.environ["BROKER"])
        self.queue = Queue(os.environ["QUEUE"], connection=self.redis)

    def enqueue(self, count: int) -> None:
        import peers

        for n in range(count):
            self.queue.enqueue(peers.post, n)

    def work(self) -> None:
        from rq import SimpleWorker

        SimpleWorker([self.queue], connection=self.redis).work(logging_level="ERROR")


class DjangoWebhook(Celery):
    """django-webhook as it comes: Celery on Redis with two processes, events stored in SQLite."""

    module = "django_webhook"

    def __init__(self) -> None:
        import django
        from django.conf import settings

        database = {
            "ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(os.environ["FOLDER"], "d"),
            "OPTIONS": {"timeout": 20},
        }  # fmt: skip
        settings.configure(
            INSTALLED_APPS=["django_webhook"], DATABASES={"default": database}, USE_TZ=True,
            DJANGO_WEBHOOK={"MODELS": []},
        )  # fmt: skip
        super().__init__()
        self.app.set_default()
        django.setup()
        from django_webhook.tasks import fire_webhook

        self.fire = fire_webhook

    def enqueue(self, count: int) -> None:
        from django.core.management import call_command
        from django_webhook.models import Webhook, WebhookSecret

        call_command("migrate", verbosity=0)
        webhook = Webhook.objects.create(url=os.environ["SINK"])
        WebhookSecret.objects.create(webhook=webhook, token="k" * 32)
        for _ in range(count):
            self.fire.delay(webhook.id, BODY.decode(), topic="shop.Order/create", object_type="o")


PEERS: dict[str, Callable[[], Any]] = {
    "Celery (Redis) + requests": Celery,
    "Dramatiq (Redis) + requests": Dramatiq,
    "Huey (SQLite) + requests": Huey,
    "RQ (Redis) + requests": RQ,
    "django-webhook (Celery, Redis)": DjangoWebhook,
}


if __name__ == "__main__":
    chosen = PEERS[sys.argv[1]]()
    if sys.argv[2] == "enqueue":
        chosen.enqueue(int(sys.argv[3]))
    else:
        chosen.work()
