"""The chaos of ``benchmarks/chaos.py`` in its short form: each point and fault is hit once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import servers

pg_fresh, mysql_fresh = servers.pg_fresh, servers.mysql_fresh

CHAOS = Path(__file__).parent.parent / "benchmarks" / "chaos.py"


@pytest.mark.parametrize("kind", ["file", "pg", "mysql"])
def test_nothing_is_lost_or_invented_wherever_a_process_dies(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """At every named point, and under every fault, the table says so, and repeats are explained."""
    database = [] if kind == "file" else ["--database", request.getfixturevalue(f"{kind}_fresh")]
    done = subprocess.run(
        [sys.executable, str(CHAOS), "--hits", "1", "--seed", "7", *database],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.split()[-7:-6] == ["1"]]
    assert len(rows) == {"file": 22, "pg": 21, "mysql": 20}[kind]
