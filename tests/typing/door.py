"""The extension is what the rooms for people take it for; checked by mypy, never run."""

from __future__ import annotations

from flask_webhooks import Webhooks
from flask_webhooks.door import Door

door: Door = Webhooks()
