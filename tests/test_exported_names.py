"""What the package exports, and that nothing else is promised."""

from __future__ import annotations

import types

import flask_webhooks


def test_all_is_sorted() -> None:
    """``__all__`` is in order, upper case first."""
    assert flask_webhooks.__all__ == sorted(flask_webhooks.__all__)


def test_all_names_exactly_what_is_public() -> None:
    """``__all__`` names every public attribute that is no module, and nothing else."""
    public = [
        name
        for name, value in vars(flask_webhooks).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    assert sorted(public) == flask_webhooks.__all__
