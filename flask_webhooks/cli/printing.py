"""How commands print: nothing that steers a terminal; tables and bars by Rich where it is there.

What receivers answer, what payloads hold and what URLs say was written by strangers. A terminal
obeys some characters, such as ESC or those that turn the direction of text: none of them comes
through.
"""

from __future__ import annotations

import functools
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

import click

from ..exceptions import WebhooksError

P = ParamSpec("P")
R = TypeVar("R")

#: What stands for a character that a terminal might obey.
_MARK = "\N{REPLACEMENT CHARACTER}"
#: Columns of a terminal that has room for everything.
_WIDE = 130
#: Heads of columns whose cells are not broken into lines.
_WHOLE = frozenset({"Id", "Status", "Message", "Tries"})
_COLOURS = {
    "delivered": "green", "enabled": "green", "accepted": "green", "ok": "green",
    "pending": "yellow", "disabled": "red", "exhausted": "red", "BREAKS": "red",
    "cancelled": "bright_black",
}  # fmt: skip

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Show this package's errors as one message, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except WebhooksError as error:
            raise click.ClickException(clean(str(error))) from error

    return wrapped


def clean(text: str) -> str:
    """One line of text without anything that a terminal would obey."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _MARK for c in text)


def say(text: str, *, err: bool = False) -> None:
    """Print lines of text, cleaned."""
    click.echo("\n".join(map(clean, text.split("\n"))), err=err)


def say_wrapped(text: str, indent: str) -> None:
    """Print one paragraph, indented; on a terminal its lines break between words."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for line in textwrap.wrap(clean(text), max(width - len(indent), 20)):
        click.echo(indent + line)


def say_json(value: Any) -> None:
    """Print one value as one line of JSON, in ASCII."""
    click.echo(json.dumps(value))


def say_result(value: Any, words: str, as_json: bool) -> None:
    """Print what a command did: one value for programs, or words for people."""
    if as_json:
        say_json(value)
    else:
        say(words)


def as_text(value: Any) -> str:
    """A JSON value for people: indented, its letters as they are."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def echo_table(
    rows: Sequence[Sequence[str]],
    nothing: str,
    heads: Sequence[str] = (),
    spare: Collection[str] = (),
) -> None:
    """Print rows in columns, or what to say when there are none.

    On a terminal with Rich they fit its width, with ``heads`` above; elsewhere a row is a line.

    :param spare: heads of columns that a narrow terminal goes without.
    """
    if not rows:
        say(nothing)
        return
    cleaned = [[clean(cell) for cell in row] for row in rows]
    console = _console()
    if console is not None and heads:
        console.print(_rich_table(cleaned, heads, () if console.width >= _WIDE else spare))
        return
    widths = [max(len(row[i]) for row in cleaned) for i in range(len(cleaned[0]))]
    for row in cleaned:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _rich_table(rows: Sequence[Sequence[str]], heads: Sequence[str], spare: Collection[str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    kept = [i for i, head in enumerate(heads) if head not in spare]
    for i in kept:
        # What is to be copied stays in one piece.
        table.add_column(heads[i], overflow="fold", no_wrap=heads[i] in _WHOLE)
    for row in rows:
        # Text is taken as it is: there is no markup in it.
        table.add_row(*(Text(row[i], style=_COLOURS.get(row[i], "")) for i in kept))
    return table


def _console() -> Any:
    """Rich's console; ``None`` where it is not installed, or nobody looks."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False)


class Progress(Protocol):
    """Is told how many are done."""

    def __call__(self, done: int) -> None: ...


@contextmanager
def progress(what: str, total: int) -> Iterator[Progress]:
    """A bar that grows on a terminal; elsewhere nothing is printed."""
    if _console() is None:
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns) as bar:
        chosen = bar.add_task(what, total=total)
        yield lambda done: bar.update(chosen, completed=done)


class LiveLine:
    """One line of a terminal that is written anew; elsewhere nothing is printed."""

    def __init__(self) -> None:
        #: Whether there is a terminal.
        self.is_seen = sys.stdout.isatty()

    def write(self, text: str) -> None:
        """Let the line say this, as far as it fits."""
        if self.is_seen:
            width = shutil.get_terminal_size().columns
            click.echo(f"\r\x1b[2K{clean(text)[: width - 1]}", nl=False)

    def end(self) -> None:
        """Take the line away."""
        if self.is_seen:
            click.echo("\r\x1b[2K", nl=False)
