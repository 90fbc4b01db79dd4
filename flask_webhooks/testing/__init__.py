"""For users' own tests: a recorder, a real receiver on loopback, a clock, and what they assert."""

from .asserting import assert_document_valid, sign
from .clock import VirtualClock
from .receiving import Received, WebhookReceiver
from .recording import Recording, Sent

__all__ = [
    "Received",
    "Recording",
    "Sent",
    "VirtualClock",
    "WebhookReceiver",
    "assert_document_valid",
    "sign",
]
