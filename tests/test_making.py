"""The tables: made where they are missing, grown where they are old, or left to migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect

from flask_webhooks import ConfigurationError, StoreError, Webhooks
from flask_webhooks.store import making
from flask_webhooks.store.database import Database
from tests import servers
from tests.storing import send, subscribe

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url


def _age(database: Database) -> None:
    """Make tables as they were before subscriptions had a host."""
    database.ensure_tables()
    subscriptions = database.tables.subscriptions
    with database.engine.begin() as connection:
        [index] = [i for i in subscriptions.indexes if str(i.name).endswith("_host")]
        index.drop(connection)
        connection.exec_driver_sql(f"ALTER TABLE {subscriptions.name} DROP COLUMN host")
    database._tables_seen = False


def test_old_tables_grow(database: Database) -> None:
    """A column and its index that an older version lacked are added, and the rows stay."""
    send(database)
    _age(database)
    name = database.tables.subscriptions.name
    assert making.lacks(database.engine, database.tables) == [f"{name}.host", f"{name}_host"]

    subscribe(database, "sub_1")

    assert making.lacks(database.engine, database.tables) == []
    assert database.read(lambda c: c.execute(database.tables.messages.select()).all()) != []


def test_a_table_of_a_newer_version_is_made(database: Database) -> None:
    """Tables from before workers had one get it, and the rows stay."""
    send(database)
    database.tables.workers.drop(database.engine)
    database._tables_seen = False
    assert making.lacks(database.engine, database.tables) == [database.tables.workers.name]

    subscribe(database, "sub_1")

    assert making.lacks(database.engine, database.tables) == []
    assert database.read(lambda c: c.execute(database.tables.messages.select()).all()) != []


def test_what_is_there_is_left_alone(database: Database) -> None:
    """Complete tables lack nothing, by every database's own account."""
    database.ensure_tables()
    assert making.lacks(database.engine, database.tables) == []


@pytest.fixture
def attached(app: Flask, tmp_path: Path) -> Any:
    db = SQLAlchemy()
    webhooks = Webhooks(session=db.session)
    webhooks.attach(db.metadata, prefix="hooks_")
    webhooks.webhook("newBooking", {"type": "object"})
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.sqlite3"
    db.init_app(app)
    webhooks.init_app(app)
    with app.app_context():
        yield db, webhooks


def test_attached_tables_are_the_migrations_to_make(attached: Any) -> None:
    """A message before the migration ran is refused with what to do, and no table is made."""
    db, webhooks = attached
    with pytest.raises(StoreError, match="hooks_messages and the others are missing.*db upgrade"):
        webhooks["newBooking"].send({})
    assert inspect(db.engine).get_table_names() == []


def test_a_second_autogenerate_is_empty(attached: Any) -> None:
    """Once made, Alembic finds no difference between the tables and the metadata."""
    db, webhooks = attached
    db.create_all()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
    message = webhooks["newBooking"].send({})
    db.session.commit()
    assert message.id.startswith("msg_")


def test_attached_tables_of_an_older_version_are_named(attached: Any) -> None:
    """A column that the migrations have yet to add is named, and nothing is added."""
    db, webhooks = attached
    db.create_all()
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX hooks_subscriptions_host")
        connection.exec_driver_sql("ALTER TABLE hooks_subscriptions DROP COLUMN host")
    with pytest.raises(StoreError, match=r"lack hooks_subscriptions\.host"):
        webhooks["newBooking"].send({})


def test_attaching_comes_first(app: Flask) -> None:
    """After an app was initialized it is too late to attach."""
    webhooks = Webhooks(app)
    with pytest.raises(ConfigurationError, match="before the first init_app"):
        webhooks.attach(SQLAlchemy().metadata)
