"""Lists of records: the newest so many, as a table for people or line by line for programs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from .printing import echo_table, say, say_json
from .wording import jsonable

limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="The newest so many.",
)


def say_list(
    found: Sequence[Any],
    limit: int,
    row: Callable[[Any], Sequence[str]],
    *,
    as_json: bool,
    nothing: str,
    heads: Sequence[str],
    spare: Collection[str],
) -> None:
    """Print records, and aside that there are more of them than asked for.

    :param found: one more than ``limit`` where there are.
    :param row: from a record to the cells of its row; see ``echo_table`` for the others.
    """
    shown = found[:limit]
    if as_json:
        for one in shown:
            say_json(jsonable(one))
    else:
        echo_table([row(one) for one in shown], nothing, heads, spare)
    if len(found) > limit:
        say(f"There are more than {limit}: --limit shows more of them.", err=True)
