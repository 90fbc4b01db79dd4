"""Starts the shop and the agency as two processes, has the story told, and ends what it started."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import suppress
from tempfile import TemporaryDirectory

from . import create_app
from .processes import running
from .receiver import create_receiver
from .story import Story

STAY = """
Both stay up until Ctrl+C:
   {shop}/docs              what the shop takes and sends, for people
   {shop}/openapi.json      the same for programs
   {shop}/board             what was sent, and what came of it
   {shop}/account/webhooks  the same as a customer sees it
   {agency}/received         what the agency received

Book another seat:
   curl {shop}/bookings -H 'Content-Type: application/json' \\
        -d '{{"train": "Express 7"}}'"""


def main() -> int:
    """Give 0 when everything was verified, 1 when not, 130 after Ctrl+C."""
    parser = argparse.ArgumentParser("python -m example_app", description="See webhooks at work.")
    parser.add_argument("--stay", action="store_true", help="keep both up afterwards")
    parser.add_argument("--port", type=int, default=0, help="the shop's port (default: a free one)")
    options = parser.parse_args()
    os.environ["no_proxy"] = "127.0.0.1"  # all of it stays on this machine
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the blocks below are left
    try:
        return _run(options.port, options.stay)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130


def _run(port: int, stay: bool) -> int:
    with (
        TemporaryDirectory(prefix="train-shop-", ignore_cleanup_errors=True) as folder,
        running("shop", create_app, folder, port) as shop,
        running("agency", create_receiver, shop.url) as agency,
    ):
        print("A train-ticket shop and a travel agency, each in a process of its own")
        print(f"   shop    {shop.url:<24}Flask with Flask-Webhooks")
        print(f"   agency  {agency.url:<24}Flask with standardwebhooks")
        good = Story(shop, agency, folder).tell()
        if stay:
            print(STAY.format(shop=shop.url, agency=agency.url), flush=True)
            with suppress(KeyboardInterrupt):  # which is how --stay is meant to end
                while True:
                    time.sleep(60)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
