"""The pages of what was sent: overview, messages, one message, what failed, and its replay."""

from __future__ import annotations

from flask import Response, request

from ...door import Door, state
from ...reports import Explanation
from ...store.browsing import Sought
from ...store.records import LARGEST_ID, STATUSES
from . import asked
from .guard import Guard, RefusedError, asker
from .reading import Reading
from .rendering import moved, page
from .summary import WINDOWS

#: Characters of a payload that a page shows.
_LONGEST = 100_000


def add_views(guard: Guard, door: Door) -> None:
    """Add the views to a blueprint."""
    _add_reading(guard, door)
    _add_failed(guard, door)


def reading() -> Reading:
    """What the asker may read."""
    return Reading(state(), asker())


def missing(noun: str) -> RefusedError:
    """The refusal of what is not there, or is another's."""
    return RefusedError(
        404, f"There is no such {noun}", "It was never made, or has been deleted since: "
        "what is old goes when its time is over.",
    )  # fmt: skip


def _add_reading(guard: Guard, door: Door) -> None:
    @guard.reads("/")
    def overview() -> Response:
        window = asked.one_of(request.args, "window", WINDOWS) or "day"
        return page(
            "overview.html", "overview", "Overview", window=window, windows=list(WINDOWS),
            found=reading().overview(window),
        )  # fmt: skip

    @guard.reads("/messages")
    def messages() -> Response:
        given = asked.filters(request.args, STATUSES)
        sought = given.sought(None if given.status is None else [given.status])
        return page(
            "messages.html", "messages", "Messages", asked=given, names=_names(door),
            statuses=STATUSES, found=reading().messages(sought, asked.before()),
        )  # fmt: skip

    @guard.reads("/messages/<message_id>")
    def message(message_id: str) -> Response:
        found = reading()
        shown = found.message(message_id)
        if shown is None:
            raise missing("message")
        sought = Sought(message=message_id)
        return page(
            "message.html", "messages", "Message", message=shown, payload=found.payload(shown),
            longest=_LONGEST, found=found.deliveries(sought, asked.before_number(), shown),
            choices=found.choices(), chosen=request.args.get("subscription"),
            explanation=_explained(door, message_id),
        )  # fmt: skip


def _explained(door: Door, message_id: str) -> Explanation | None:
    """Why the message did, or did not, reach the subscription that is asked about."""
    chosen = request.args.get("subscription")
    if not chosen or reading().subscription(chosen) is None:
        return None
    return door.explain(message_id, chosen)


def _names(door: Door) -> list[str]:
    return sorted(webhook.name for webhook in door)


def _add_failed(guard: Guard, door: Door) -> None:
    @guard.reads("/failed")
    def failed() -> Response:
        given = asked.filters(request.args, asked.FAILED)
        sought = given.sought(asked.FAILED[given.status or ""])
        return page(
            "failed.html", "failed", "Failed", asked=given, names=_names(door),
            found=reading().deliveries(sought, asked.before_number()),
        )  # fmt: skip

    @guard.reads("/failed/replay")
    def confirm_replay() -> Response:
        given = asked.filters(request.args, asked.FAILED)
        count = _replay(door, given, dry_run=True)
        return page("confirm.html", "failed", "Send again", asked=given, count=count)

    @guard.writes("/failed/replayed")
    def replay() -> Response:
        given = asked.filters(request.form, asked.FAILED)
        count = _replay(door, given, dry_run=False)
        return moved("failed", done="replayed", count=count, **given.as_query())

    @guard.writes(f"/deliveries/<int(max={LARGEST_ID}):delivery_id>/replay")
    def replay_delivery(delivery_id: int) -> Response:
        found = reading().delivery(delivery_id)
        if found is None:
            raise missing("delivery")
        count = door.replay(found.id)
        done = "replayed" if count else "unchanged"
        return moved("message", message_id=found.message_id, done=done, count=count)


def _replay(door: Door, given: asked.Asked, *, dry_run: bool) -> int:
    """Replay what the filters choose; all that failed, when there are none."""
    statuses = asked.FAILED[given.status or ""]
    return sum(
        door.replay(
            name=given.webhook, subscription=given.subscription, since=given.since,
            until=given.until, status=status, tenant=asker().owned, dry_run=dry_run,
        )
        for status in statuses
    )  # fmt: skip
