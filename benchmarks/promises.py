"""Measures what the engine promises, each beside its yardstick; tells what holds, in one table.

Run: ``python benchmarks/promises.py``, on a machine that has nothing else to do. The status is 1
when a promise is broken. ``--only`` chooses parts by name, ``--quick`` is a short form whose
figures mean little. ``--postgresql`` (an SQLAlchemy URL of a server) and ``--amqp`` (a broker) add
lines. Figures are ratios where a yardstick can be measured in the same run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import costs
import latencies
from figures import Figure, head, line

Parts = dict[str, Callable[[], list[Figure]]]


def parts(quick: bool, postgresql: str | None, amqp: str | None) -> Parts:
    """What can be measured, by name."""
    found: Parts = {"fan-out": lambda: costs.fanning_out(quick, None)}
    if postgresql:
        found["fan-out, PostgreSQL"] = lambda: costs.fanning_out(quick, postgresql)
    found |= {
        "view": lambda: costs.in_views(quick),
        "send": lambda: latencies.sending(quick),
        "claim": lambda: costs.claims(quick),
        "import": lambda: costs.importing(quick),
        "hang": lambda: latencies.hanging(quick),
        "backlog": lambda: latencies.backlog(quick),
        "tls": lambda: costs.over_tls(quick),
    }
    if amqp:
        found["celery"] = lambda: costs.by_celery(quick, amqp)
    return found


def main() -> int:
    """Measure what the command line asks for; the exit status."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", default="", metavar="PART", help="a part of the names of parts")
    options.add_argument("--quick", action="store_true", help="a short form, for tests")
    options.add_argument("--postgresql", metavar="URL", help="an SQLAlchemy URL of a server")
    options.add_argument("--amqp", metavar="URL", help="a broker for Celery")
    chosen = options.parse_args()
    broken = 0
    print(head())
    for name, measure in parts(chosen.quick, chosen.postgresql, chosen.amqp).items():
        if chosen.only in name:
            for figure in measure():
                print(line(figure), flush=True)
                broken += not figure.holds
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
