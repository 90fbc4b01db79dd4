"""Answers to requests with an idempotency key, on every database."""

from __future__ import annotations

from flask_webhooks.store import answers
from flask_webhooks.store.database import Database
from tests import servers

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url


def begin(database: Database, token: str, now: int, request: str = "r") -> answers.Known | None:
    """Begin a request with the key ``k``; answers are kept for 100, and 10 is patience."""
    return database.write(
        lambda c: answers.begin(
            c, database.tables, "k", token=token, request=request, now=now, keep=100, patience=10
        )
    )


def end(database: Database, token: str, sealed: bytes | None) -> None:
    """End it."""
    database.write(lambda c: answers.end(c, database.tables, "k", token, sealed))


def test_a_request_is_begun_once_and_its_answer_kept(database: Database) -> None:
    """Who comes second finds it under way, then the answer; until that is forgotten."""
    assert begin(database, "a", 0) is None
    assert begin(database, "b", 5, "another") == ("r", None)
    end(database, "b", b"not mine to write")
    end(database, "a", b"answer")
    assert begin(database, "c", 50) == ("r", b"answer")
    assert begin(database, "d", 101) is None


def test_one_that_died_or_was_refused_is_begun_anew(database: Database) -> None:
    """And the dead one, come back, writes over nobody's answer."""
    assert begin(database, "a", 0) is None
    end(database, "a", None)
    assert begin(database, "b", 1) is None
    assert begin(database, "c", 12) is None
    end(database, "c", b"of c")
    end(database, "b", b"of b")
    assert begin(database, "d", 13) == ("r", b"of c")
