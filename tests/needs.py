"""Modules that only some environments have: without one a test skips, or fails where required."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def need(module: str, extra: str) -> Any:
    """The module, which the extra ``extra`` installs.

    Without it the test is skipped with the reason, or fails where ``WEBHOOKS_TEST_REQUIRE`` lists
    the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        reason = f'{module} is not installed: pip install "Flask-Webhooks[{extra}]"'
        if extra in os.environ.get("WEBHOOKS_TEST_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
