"""What a worker holds under lease, and what it writes about that; made for every attempt.

They stand apart since an app that only sends needs none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..rules.terms import Terms
from .records import Attempt, DeliveryStatus


@dataclass(slots=True, kw_only=True)
class Claimed:
    """A delivery under lease, with all that an attempt needs."""

    delivery_id: int
    token: str
    #: The number of the attempt that this claim allows, from 1.
    number: int
    #: Its position in the retry schedule, from 1.
    position: int
    message_id: str
    name: str
    #: When its message was sent, in microseconds since 1970.
    sent_at: int
    #: The W3C ``traceparent`` of the span that sent it, if there was one.
    trace: str | None = None
    body: bytes = field(repr=False)
    subscription_id: str
    tenant: str | None
    url: str = field(repr=False)
    sealed_secret: bytes | None = field(repr=False)
    #: What its subscription adds to every attempt.
    sealed_options: bytes | None = field(default=None, repr=False)
    #: Whether the owner of its URL passed the ownership check.
    confirmed: bool = False
    callback: str | None
    #: What its subscription asks of its deliveries.
    terms: Terms = Terms()
    #: The key of its line, when its subscription is ordered.
    line: str | None = None
    #: When the lease ends, in microseconds since 1970: by then its outcome must be written.
    until: int
    #: Since when its subscription has only failed, in microseconds since 1970.
    failing_since: int | None


@dataclass(slots=True, kw_only=True)
class Settlement:
    """What came of a claim, ready to be written: the attempt and the decision.

    Where no attempt could be made, ``attempt`` is ``None`` and none is counted.
    """

    claimed: Claimed
    attempt: Attempt | None
    status: DeliveryStatus
    reason: str
    #: Microseconds since 1970; kept only while ``status`` is pending.
    due_at: int
    #: Hold back the whole subscription until then.
    paused_until: int | None = None
    #: Why the subscription is to be disabled at once.
    disable: str | None = None
    #: Whether the owner of the URL passed the ownership check just now.
    confirmed: bool = False
