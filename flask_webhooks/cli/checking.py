"""Commands that judge a document: ``check`` and ``diff``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

import click
from flask.cli import AppGroup

from ..declarations import Place
from ..door import Door, state
from .printing import as_json_option, echo_table, plain_errors, say, say_json
from .wording import counted

if TYPE_CHECKING:
    from ..describe.finding import Finding

_NO_VALIDATOR = (
    "The structure was not checked: openapi-spec-validator is not installed. Install it: "
    "pip install 'Flask-Webhooks[check]'"
)
# With a byte order mark or without: editors on Windows write one.
_JSON_FILE = click.File("r", encoding="utf-8-sig")


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("file", type=_JSON_FILE, required=False)
    @as_json_option
    @plain_errors
    def check(file: TextIO | None, as_json: bool) -> None:
        """Check the app's document, or the one in FILE.

        Tells what is wrong, with a JSON Pointer to each place; with --json one object a line. The
        exit status is 1 if there is something, and 2 if not everything could be checked.
        """
        from ..describe.places import places

        document = webhooks.document() if file is None else _read(file)
        known = places(list(webhooks), state().routes) if file is None else {}
        click.get_current_context().exit(_report(document, known, as_json))

    @group.command()
    @click.argument("old", type=_JSON_FILE)
    @click.option("--all", "show_all", is_flag=True, help="Show changes of mere words, too.")
    @as_json_option
    @plain_errors
    def diff(old: TextIO, show_all: bool, as_json: bool) -> None:
        """Tell what changed for receivers since the document OLD ("-" reads it from stdin).

        With --json it is one object a line. The exit status is 1 if something breaks them.
        """
        from ..describe.diff import changes

        found = changes(_read(old), webhooks.document())
        shown = [change for change in found if show_all or not change.wording]
        if as_json:
            for change in shown:
                say_json(asdict(change))
        else:
            rows = [(_verdict(c), c.name, c.path or "-", c.what) for c in shown]
            echo_table(rows, "Nothing changed for receivers.")
            _sum_up(rows, hidden=len(found) - len(shown))
        click.get_current_context().exit(int(any(change.breaks for change in found)))


def _read(file: TextIO) -> dict[str, Any]:
    """The OpenAPI document in a file."""
    given = getattr(file, "name", "<stdin>")
    name = "stdin" if given in ("<stdin>", 0) else given
    try:
        document = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{name} is no JSON: {error}. Give the document as JSON.") from None
    if not isinstance(document, dict) or not isinstance(document.get("openapi"), str):
        raise click.UsageError(f"{name} is no OpenAPI 3 document: it has no field 'openapi'.")
    return document


def _report(document: dict[str, Any], known: Mapping[Any, Any], as_json: bool) -> int:
    """Print what is wrong with a document, or that nothing is; gives the exit status."""
    from ..describe.check import findings
    from ..describe.places import place_of
    from ..describe.structure import structure

    found = findings(document)
    besides = structure(document, found)
    for finding in sorted([*found, *(besides or ())]):
        _say_finding(finding, place_of(finding.at, known), as_json)
    if besides is None:
        click.echo(_NO_VALIDATOR, err=True)
        return 2
    if not found and not besides and not as_json:
        click.echo(f"The document is valid: {_counted(document)}.")
    return int(bool(found or besides))


def _say_finding(finding: Finding, place: Place | None, as_json: bool) -> None:
    if as_json:
        declared_at = None if place is None else str(place)
        say_json({"at": finding.pointer, "text": finding.text, "declared_at": declared_at})
        return
    declared = f" (declared at {place})" if place else ""
    say(f"{finding.pointer or '(document)'}: {finding.text}{declared}")


def _counted(document: dict[str, Any]) -> str:
    from ..describe.reading import operations

    described = list(operations(document))
    callbacks = {(one.parent.at, one.name) for one in described if one.parent is not None}
    counts = {
        "path": len(document.get("paths", {})),
        "webhook": len(document.get("webhooks", {})),
        "callback": len(callbacks),
    }
    return ", ".join(counted(n, noun, f"{noun}s") for noun, n in counts.items())


def _verdict(change: Any) -> str:
    return "BREAKS" if change.breaks else "ok"


def _sum_up(rows: list[tuple[str, str, str, str]], *, hidden: int) -> None:
    breaking = sum(row[0] == "BREAKS" for row in rows)
    if breaking:
        click.echo(f"{breaking} change{' breaks' if breaking == 1 else 's break'} receivers.")
    elif rows:
        click.echo("Nothing breaks receivers.")
    if hidden:
        click.echo(f"{hidden} more in mere words: --all shows them.")
