"""Reads the JSON that an option was given."""

from __future__ import annotations

import json
from typing import Any

import click

from .printing import clean


def parsed(option: str, text: str) -> Any:
    """The value of an option's JSON.

    :raises click.ClickException: it is none; says where.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{option} is no JSON: {clean(str(error))}") from None
