"""A small train-ticket shop that tells others by webhooks and callbacks what happens in it."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from marshmallow import ValidationError

from .shop import shop, webhooks


def create_app(instance_path: str | None = None) -> Flask:
    """Make the shop.

    :param instance_path: the absolute path of the folder for the database and the signing key of
        Flask-Webhooks; Flask's own choice by default.
    """
    app = Flask(__name__, instance_path=instance_path)
    app.config.update(
        WEBHOOKS_TITLE="Train-ticket shop",
        # Seconds before each attempt. The default goes on for three days; this one is short so that
        # you can watch a failed delivery being tried again.
        WEBHOOKS_SCHEDULE=[0, 1, 2, 2],
        # The receiver of this example runs on the same machine. Never set this in production.
        WEBHOOKS_ALLOW_LOOPBACK=True,
    )
    app.register_blueprint(shop)
    app.register_error_handler(ValidationError, _unprocessable)
    webhooks.init_app(app)
    app.register_blueprint(webhooks.board(_access), url_prefix="/board")
    app.register_blueprint(webhooks.portal(), url_prefix="/portal")
    return app


def _access() -> str | None:
    """The board is for this machine alone. A real shop asks who has logged in."""
    return "write" if request.remote_addr == "127.0.0.1" else None


def _unprocessable(error: ValidationError) -> tuple[dict[str, Any], int]:
    return {"errors": error.messages}, 422
