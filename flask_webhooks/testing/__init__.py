"""For users' own tests: a recorder, a real receiver on loopback, and a clock that tests move."""

from .clock import VirtualClock
from .receiving import Received, WebhookReceiver
from .recording import Recording, Sent

__all__ = ["Received", "Recording", "Sent", "VirtualClock", "WebhookReceiver"]
