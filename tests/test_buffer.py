"""The buffer: whose turn it is, how many at once, and what becomes of the doubtful."""

from __future__ import annotations

from flask_webhooks.deliver.buffer import Buffer
from flask_webhooks.store.claims import Claimed


def claimed(delivery_id: int, subscription_id: str = "sub_1", tenant: str | None = None) -> Claimed:
    return Claimed(
        delivery_id=delivery_id, token="token", number=1, position=1, message_id="msg_1",
        name="newBooking", body=b"{}", subscription_id=subscription_id, tenant=tenant,
        url="https://a.example/", sealed_secret=None, callback=None, until=100, sent_at=1,
        failing_since=None,
    )  # fmt: skip


def taken(buffer: Buffer) -> list[tuple[int, str]]:
    return [(one.delivery_id, one.subscription_id) for one in buffer.take()]


def doubt(buffer: Buffer, *subscription_ids: str) -> None:
    """One attempt of each gets no answer."""
    for n, subscription_id in enumerate(subscription_ids):
        buffer.add([claimed(900 + n, subscription_id)])
        [one] = buffer.take()
        buffer.finish(one, answered=False)


def test_subscriptions_take_turns() -> None:
    """A long queue does not go first with all of it; within a queue the oldest goes first."""
    buffer = Buffer(cap=10, most=10)
    buffer.add([claimed(n, "sub_1") for n in range(3)])
    buffer.add([claimed(n, "sub_2") for n in range(2)])
    assert taken(buffer) == [
        (0, "sub_1"), (0, "sub_2"), (1, "sub_1"), (1, "sub_2"), (2, "sub_1"),
    ]  # fmt: skip
    assert taken(buffer) == []


def test_tenants_take_turns() -> None:
    """One with many subscriptions does not go before one that has a single one."""
    buffer = Buffer(cap=10, most=10)
    buffer.add([claimed(n, f"sub_{n}", "big") for n in range(3)])
    buffer.add([claimed(8, "sub_8", "small"), claimed(9, "sub_8", "small")])
    assert [one for one, _ in taken(buffer)] == [0, 8, 1, 9, 2]


def test_a_full_subscription_waits_until_one_of_its_own_is_over() -> None:
    """With its cap under way it is passed over; the next finished one lets the next begin."""
    buffer = Buffer(cap=2, most=10)
    buffer.add([claimed(n, "sub_1") for n in range(4)])
    buffer.add([claimed(9, "sub_2")])
    first, *others = buffer.take()
    assert [one.delivery_id for one in (first, *others)] == [0, 9, 1]
    buffer.finish(others[0], answered=True)
    assert taken(buffer) == []
    buffer.finish(first, answered=True)
    assert taken(buffer) == [(2, "sub_1")]
    assert (buffer.waiting, buffer.under_way, buffer.held) == (1, 2, 3)


def test_no_more_is_under_way_than_there_may_be() -> None:
    """What is over makes room for the next, whosever it is."""
    buffer = Buffer(cap=8, most=3)
    buffer.add([claimed(n, "sub_1") for n in range(5)] + [claimed(9, "sub_2")])
    first = buffer.take()
    assert [one.delivery_id for one in first] == [0, 9, 1]
    buffer.finish(first[1], answered=True)
    assert taken(buffer) == [(2, "sub_1")]


def test_room_is_what_the_cap_leaves() -> None:
    """What waits counts like what is under way; some may wait beyond the cap."""
    buffer = Buffer(cap=4, most=1)
    assert buffer.room("sub_1") == 4
    buffer.add([claimed(n) for n in range(3)])
    assert taken(buffer) == [(0, "sub_1")]
    assert buffer.room("sub_1") == 1
    assert buffer.room("sub_1", beyond=10) == 11


def test_who_did_not_answer_gets_one_at_a_time() -> None:
    """Until it answers again."""
    buffer = Buffer(cap=4, most=10)
    doubt(buffer, "sub_1")
    assert buffer.room("sub_1", beyond=10) == 1
    buffer.add([claimed(1), claimed(2), claimed(3, "sub_2")])
    one, other = buffer.take()
    assert (one.delivery_id, other.delivery_id) == (1, 3)
    buffer.finish(one, answered=True)
    assert taken(buffer) == [(2, "sub_1")]
    assert buffer.room("sub_1") == 3


def test_the_doubtful_have_half_of_what_may_be_under_way() -> None:
    """Others are handed out past them; those that wait take no place from others."""
    buffer = Buffer(cap=4, most=4)
    silent = [f"silent_{n}" for n in range(6)]
    doubt(buffer, *silent)
    buffer.add([claimed(n, subscription_id) for n, subscription_id in enumerate(silent)])
    buffer.add([claimed(9, "quick")])
    assert buffer.occupied == 1
    assert [name for _, name in taken(buffer)] == ["silent_0", "silent_1", "quick"]
    assert (buffer.held, buffer.occupied) == (7, 3)
    assert buffer.room("silent_0") == 0
    assert buffer.room("quick") == 3


def test_what_no_sender_took_can_be_given_back() -> None:
    """It is handed over and forgotten; what is under way stays."""
    buffer = Buffer(cap=1, most=4)
    buffer.add([claimed(n) for n in range(3)])
    [first] = buffer.take()
    assert [one.delivery_id for one in buffer.clear()] == [1, 2]
    assert (buffer.waiting, buffer.under_way) == (0, 1)
    buffer.add([claimed(7)])
    buffer.finish(first, answered=True)
    assert taken(buffer) == [(7, "sub_1")]
