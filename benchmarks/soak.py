"""Delivers a long queue while workers are killed all the time, and counts what was lost or doubled.

Run: ``python benchmarks/soak.py --deliveries 100000``. Two workers are processes of their own, each
killed by SIGKILL after a fraction of a second and replaced at once. Half of the queue is there when
they begin, and this process sends the other half meanwhile, so that they are killed at work. A
receiver in another process notes every request; its notes are joined with what is stored, as
``chaos.py`` does. What was set aside, since three workers in a row died with it, is replayed at the
end, and counted.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from chaos import LATER, SUBSCRIPTIONS, Count, Shop, _counted, shop_in

#: Messages that are sent between two kills, while there are any left to send.
_BATCH = 200


def _worker(shop: Shop) -> int:
    """A process that delivers until it is killed."""
    shop.database.dispose()
    child = os.fork()
    if not child:
        logging.disable()
        try:
            with shop.app.app_context():
                shop.state.worker.run()
        finally:
            os._exit(0)
    return child


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _send(shop: Shop, messages: int) -> None:
    for n in range(messages):
        shop.webhooks["happened"].send({"n": n})


def run(shop: Shop, messages: int, chance: random.Random, minutes: float) -> tuple[int, int]:
    """Send and deliver under kills: how many, and how many deliveries were set aside."""
    kills, give_up = 0, time.monotonic() + 60 * minutes
    _send(shop, messages // 2)
    messages -= messages // 2
    workers = [_worker(shop), _worker(shop)]
    while (messages > 0 or shop.is_busy()) and time.monotonic() < give_up:
        _send(shop, min(messages, _BATCH))
        messages = max(messages - _BATCH, 0)
        time.sleep(chance.uniform(0.0, 0.3))
        _kill(workers.pop(0))
        kills += 1
        workers.append(_worker(shop))
    for worker in workers:
        _kill(worker)
    shop.passed += LATER
    shop.deliver()
    aside = shop.webhooks.replay(status="exhausted")
    shop.deliver()
    shop.note_committed()
    return kills + len(workers), aside


def main() -> int:
    """Run what the command line asks for, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--deliveries", type=int, default=100_000)
    options.add_argument("--minutes", type=float, default=15.0, help="at most")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument("--database", help="as of chaos.py")
    chosen = options.parse_args()
    logging.getLogger("flask_webhooks").setLevel(logging.CRITICAL)
    chance, messages = random.Random(chosen.seed), chosen.deliveries // SUBSCRIPTIONS
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, shop_in(Path(folder), chosen.database) as shop:
        kills, aside = run(shop, messages, chance, chosen.minutes)
        count = _counted(shop, Count(hits=kills))
    print(f"seed {chosen.seed}, {time.monotonic() - began:.0f} s")
    print(f"{count.messages} messages, {count.requests} requests, {kills} workers killed: "
          f"{count.lost} lost, {count.phantom} phantom, {count.again} again, "
          f"{count.uncounted} uncounted, {aside} set aside and replayed")  # fmt: skip
    return 1 if count.lost or count.phantom or count.uncounted else 0


if __name__ == "__main__":
    sys.exit(main())
