"""Puts the extension into an app: its state, documents and commands, and what watches its calls."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from flask import Flask

from .cli import WebhooksGroup
from .config import read_settings
from .describe.neighbours.clashes import check_urls
from .door import EXTENSION, Door
from .manage.documents import documents
from .state import State
from .store.tables import Tables, make_tables
from .watching import watch


def install(
    app: Flask,
    webhooks: Door,
    *,
    session: Any,
    tables: Tables | None,
    siblings: Callable[[], Collection[State]],
    tenant_loader: Callable[[], Callable[[], str | None] | None],
) -> State:
    """Make the state of an app that has none, and all that leads to it.

    :param session: the app's session, if messages are to be written in its transactions.
    :param tables: what the store is made of, if the app's metadata holds them.
    :param siblings: gives the states of all apps that the same declarations serve.
    :param tenant_loader: gives the function that says whose request this is, if there is one yet.
    :raises ConfigurationError: a setting is unknown or unusable.
    """
    settings = read_settings(app.config, debug=app.debug, testing=app.testing)
    state = State(
        app, settings, lambda: list(webhooks), session, tables or make_tables(), siblings=siblings
    )
    app.extensions[EXTENSION] = state
    app.register_blueprint(documents(state))
    check_urls(app)
    app.cli.add_command(WebhooksGroup(webhooks))
    watch(state, tenant_loader)
    return state
