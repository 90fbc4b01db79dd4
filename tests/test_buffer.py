"""The buffer: whose turn it is, how many at once, and what becomes of the doubtful."""

from __future__ import annotations

import threading

from flask_webhooks.deliver.buffer import Buffer
from flask_webhooks.store.records import Claimed


def claimed(delivery_id: int, subscription_id: str = "sub_1", tenant: str | None = None) -> Claimed:
    return Claimed(
        delivery_id=delivery_id, token="token", number=1, position=1, message_id="msg_1",
        name="newBooking", body=b"{}", subscription_id=subscription_id, tenant=tenant,
        url="https://a.example/", sealed_secret=None, callback=None, until=100, sent_at=1,
        failing_since=None,
    )  # fmt: skip


def take(buffer: Buffer) -> Claimed:
    one = buffer.take()
    assert one is not None
    return one[0]


def taken(buffer: Buffer) -> tuple[int, str]:
    one = take(buffer)
    return one.delivery_id, one.subscription_id


def doubt(buffer: Buffer, *subscription_ids: str) -> None:
    """One attempt of each gets no answer."""
    for n, subscription_id in enumerate(subscription_ids):
        buffer.add([claimed(900 + n, subscription_id)])
        buffer.finish(take(buffer), answered=False)


def test_subscriptions_take_turns() -> None:
    """A long queue does not go first with all of it; within a queue the oldest goes first."""
    buffer = Buffer(cap=10, most=10)
    buffer.add([claimed(n, "sub_1") for n in range(3)])
    buffer.add([claimed(n, "sub_2") for n in range(2)])
    assert [taken(buffer) for _ in range(5)] == [
        (0, "sub_1"), (0, "sub_2"), (1, "sub_1"), (1, "sub_2"), (2, "sub_1"),
    ]  # fmt: skip


def test_tenants_take_turns() -> None:
    """One with many subscriptions does not go before one that has a single one."""
    buffer = Buffer(cap=10, most=10)
    buffer.add([claimed(n, f"sub_{n}", "big") for n in range(3)])
    buffer.add([claimed(8, "sub_8", "small"), claimed(9, "sub_8", "small")])
    assert [taken(buffer)[0] for _ in range(5)] == [0, 8, 1, 9, 2]


def test_a_full_subscription_waits_until_one_of_its_own_is_over() -> None:
    """With its cap under way it is passed over; the next finished one lets the next begin."""
    buffer = Buffer(cap=2, most=10)
    buffer.add([claimed(n, "sub_1") for n in range(4)])
    buffer.add([claimed(9, "sub_2")])
    first = take(buffer)
    assert [taken(buffer) for _ in range(2)] == [(9, "sub_2"), (1, "sub_1")]
    later: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: later.append(taken(buffer)))
    thread.start()
    assert later == []
    buffer.finish(first, answered=True)
    thread.join(5)
    assert later == [(2, "sub_1")]
    assert (buffer.waiting, buffer.under_way, buffer.held) == (1, 3, 4)


def test_room_is_what_the_cap_leaves() -> None:
    """What waits counts like what is under way; some may wait beyond the cap."""
    buffer = Buffer(cap=4, most=10)
    assert buffer.room("sub_1") == 4
    buffer.add([claimed(n) for n in range(3)])
    taken(buffer)
    assert buffer.room("sub_1") == 1
    assert buffer.room("sub_1", beyond=10) == 11


def test_who_did_not_answer_gets_one_at_a_time() -> None:
    """Until it answers again."""
    buffer = Buffer(cap=4, most=10)
    doubt(buffer, "sub_1")
    assert buffer.room("sub_1", beyond=10) == 1
    buffer.add([claimed(1), claimed(2), claimed(3, "sub_2")])
    one = take(buffer)
    assert taken(buffer) == (3, "sub_2")
    buffer.finish(one, answered=True)
    assert taken(buffer) == (2, "sub_1")
    assert buffer.room("sub_1") == 3


def test_the_doubtful_have_half_of_the_threads() -> None:
    """Others are handed out past them; those that wait take no place from others."""
    buffer = Buffer(cap=4, most=4)
    silent = [f"silent_{n}" for n in range(6)]
    doubt(buffer, *silent)
    buffer.add([claimed(n, subscription_id) for n, subscription_id in enumerate(silent)])
    buffer.add([claimed(9, "quick")])
    assert buffer.occupied == 1
    assert [taken(buffer)[1] for _ in range(3)] == ["silent_0", "silent_1", "quick"]
    assert (buffer.held, buffer.occupied) == (7, 3)
    assert buffer.room("silent_0") == 0
    assert buffer.room("quick") == 3


def test_what_no_sender_took_can_be_given_back() -> None:
    """It is handed over and forgotten; what is under way stays."""
    buffer = Buffer(cap=4, most=4)
    buffer.add([claimed(n) for n in range(3)])
    taken(buffer)
    assert [one.delivery_id for one in buffer.clear()] == [1, 2]
    assert (buffer.waiting, buffer.under_way) == (0, 1)
    buffer.add([claimed(7)])
    assert taken(buffer) == (7, "sub_1")


def test_dismissed_threads_end_as_soon_as_they_ask() -> None:
    """As many as were dismissed, waiting or not, even when there is more to do."""
    buffer = Buffer(cap=4, most=4)
    ended: list[list[Claimed] | None] = []
    thread = threading.Thread(target=lambda: ended.append(buffer.take()))
    thread.start()
    buffer.dismiss(2)
    thread.join(5)
    buffer.add([claimed(1)])
    assert buffer.take() is None
    assert ended == [None]
    assert taken(buffer) == (1, "sub_1")


def answer_at_once(buffer: Buffer, *subscription_ids: str) -> None:
    """One attempt of each is answered, and at once."""
    for n, subscription_id in enumerate(subscription_ids):
        buffer.add([claimed(900 + n, subscription_id)])
        buffer.finish(take(buffer), answered=True, quick=True)


def handful(buffer: Buffer, most: int) -> list[int]:
    return [one.delivery_id for one in buffer.take(most) or ()]


def kept_quick(cap: int, most: int, *subscription_ids: str) -> Buffer:
    """A buffer where each subscription is quick, and has one delivery under way."""
    buffer = Buffer(cap=cap, most=most)
    for n, subscription_id in enumerate(subscription_ids):
        buffer.add([claimed(800 + n, subscription_id)])
        taken(buffer)
    answer_at_once(buffer, *subscription_ids)
    return buffer


def test_what_goes_to_quick_receivers_is_handed_out_together() -> None:
    """In turn, as many as are asked for, and no more of one than its cap."""
    buffer = kept_quick(3, 20, "sub_1", "sub_2")
    buffer.add([claimed(n, "sub_1") for n in range(5)] + [claimed(9, "sub_2")])
    assert handful(buffer, 8) == [0, 9, 1]


def test_no_more_is_under_way_than_there_may_be() -> None:
    """A handful ends where the bound of all does."""
    buffer = kept_quick(8, 3, "sub_1")
    buffer.add([claimed(n) for n in range(5)])
    assert handful(buffer, 8) == [0, 1]


def test_an_unknown_receiver_is_handed_out_alone() -> None:
    """It could keep the others waiting; so it neither follows a quick one, nor is followed."""
    buffer = kept_quick(8, 20, "sub_1")
    buffer.add([claimed(1, "sub_2"), claimed(2, "sub_2"), claimed(3, "sub_1"), claimed(4, "sub_1")])
    assert [handful(buffer, 8), handful(buffer, 8), handful(buffer, 8)] == [[1], [3, 4], [2]]


def test_who_was_slow_once_is_not_quick() -> None:
    """Until it answers at once again."""
    buffer = kept_quick(8, 20, "sub_1")
    buffer.add([claimed(n) for n in range(1)])
    buffer.finish(take(buffer), answered=True, quick=False)
    buffer.add([claimed(n) for n in range(1, 4)])
    assert handful(buffer, 8) == [1]
