"""The pytest plugin: two fixtures, for tests that have a fixture ``app`` of their own.

Nothing but pytest is imported until a test asks for one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .clock import VirtualClock
    from .receiving import WebhookReceiver


@pytest.fixture
def webhook_receiver(request: Any) -> Iterator[WebhookReceiver]:
    """A real receiver on loopback, which the app of the fixture ``app``, if any, may reach."""
    from .receiving import WebhookReceiver

    app = request.getfixturevalue("app") if _has_app(request) else None
    with WebhookReceiver(app) as receiver:
        yield receiver


@pytest.fixture
def webhook_clock(app: Any) -> Iterator[VirtualClock]:
    """A clock for the app of the fixture ``app``, which the test moves."""
    from .clock import VirtualClock

    clock = VirtualClock(app)
    yield clock
    clock.stop()


def _has_app(request: Any) -> bool:
    try:
        request.getfixturevalue("app")
    except pytest.FixtureLookupError:
        return False
    return True
