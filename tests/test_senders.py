"""Senders, with attempts that end as they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from flask_webhooks.deliver.alternating import Alternating
from flask_webhooks.deliver.attempting import Attempting, Ended
from flask_webhooks.deliver.senders import Senders
from flask_webhooks.deliver.threads import Threads
from flask_webhooks.deliver.together import Together
from flask_webhooks.store.claims import Claimed
from tests.test_buffer import claimed


@dataclass
class Refusing:
    """Stands in for attempting: nothing may be sent."""

    asked: list[Claimed] = field(default_factory=list)

    def allowed(self, claimed: Claimed) -> Ended:
        self.asked.append(claimed)
        return Ended(claimed, None)

    def together(self) -> Together[Any]:
        return Together(cast(Any, None))


def senders(attempting: Refusing, noticed: Callable[[], None] = lambda: None) -> Senders:
    """For one attempt at a time."""
    return Senders(
        cast(Attempting, attempting), per_subscription=1, most=1, alternating=Alternating(),
        noticed=noticed,
    )  # fmt: skip


def test_what_ends_at_once_makes_room_for_the_next() -> None:
    """They are all looked at in one go, though only one may be under way."""
    attempting, ended = Refusing(), threading.Event()
    made = senders(attempting, ended.set)
    made.buffer.add([claimed(n) for n in range(5)])
    made.send()
    assert ended.wait(10)
    made.dismiss()
    assert len(attempting.asked) == len(made.returned) == 5


def test_a_dismissed_thread_takes_nothing_more() -> None:
    """What comes after is for the thread that takes over: its own would be broken off."""
    attempting = Refusing()
    made = senders(attempting)
    left: Together[Any] = attempting.together()
    left.wake()
    made.buffer.add([claimed(1)])
    made._go_round(left, Threads(lambda ready: None, "test-opener"))
    left.close()
    assert (attempting.asked, made.buffer.waiting) == ([], 1)
