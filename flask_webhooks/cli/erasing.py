"""The command ``erase``: a person goes from what is stored, and the terminal says what that was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict

import click
from flask.cli import AppGroup

from ..door import Door
from ..reports import ErasedOf, Erasure
from .printing import as_json_option, plain_errors, say, say_json


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.option(
        "--subject",
        required=True,
        metavar="TEXT",
        help="What names the person, such as an address; - reads a line of input.",
    )
    @click.option("--name", metavar="WEBHOOK",
                  help="Look only at messages of this webhook.")  # fmt: skip
    @click.option("--yes", is_flag=True, help="Do it; without it they are only counted.")
    @as_json_option
    @plain_errors
    def erase(subject: str, name: str | None, yes: bool, as_json: bool) -> None:
        """Erase a person: all that is private in messages that are about TEXT.

        Those are the messages of which a private field, or the key, is TEXT. They are never sent
        again.
        """
        text = sys.stdin.readline().strip() if subject == "-" else subject
        found = webhooks.erase(text, name=name, dry_run=not yes)
        if as_json:
            say_json(asdict(found))
        else:
            say("\n".join(_told(found)))


def _told(found: Erasure) -> Iterator[str]:
    for one in found.webhooks:
        yield f"{one.name}: {', '.join(_facts(one, 'to be ' if found.dry_run else ''))}."
    if found.subscriptions:
        listed = ", ".join(found.subscriptions)
        yield f"Left alone, as their URL, key or filter holds it: {listed}."
        yield "Look at one: flask webhooks show ID; delete it: flask webhooks unsubscribe ID"
    if not any(one.messages or one.answers for one in found.webhooks):
        yield "Nothing stored is about this person: no private field and no key is this text."
    elif found.dry_run:
        yield "Nothing was changed yet. Add --yes to erase it for good."
    else:
        yield "Erased. Receivers that got it, and backups, still have it."


def _facts(one: ErasedOf, still: str) -> Iterator[str]:
    yield f"messages {still}erased {len(one.messages)}"
    yield f"pending deliveries {still}cancelled {one.deliveries}"
    if one.under_way:
        yield f"of these under way, so that they may still arrive {one.under_way}"
    yield f"answers {still}blanked {one.answers}"
    if one.mentions:
        yield f"left alone, as they hold it where nothing is private {len(one.mentions)}"
