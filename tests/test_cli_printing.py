"""What commands print: a stranger's text steers no terminal, and tables fit the one there is."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from flask_webhooks import Webhooks
from flask_webhooks.cli import printing
from tests import test_cli_looking
from tests.conftest import Receiver
from tests.needs import need

cli = test_cli_looking.cli

#: It clears the screen, sets the title, colours (by an 8-bit CSI), and turns the direction of text.
STEERING = "\x1b[2J\x1b]0;pwned\x07\x9b31m\u202eevil\u2066\r\nfake  delivered\x85\x00\u2028"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@given(st.text())
def test_nothing_that_steers_is_left(text: str) -> None:
    """Whatever the text, one printable line of the same length remains."""
    cleaned = printing.clean(text)
    assert OBEYED.search(cleaned) is None and "\n" not in cleaned
    assert len(cleaned) == len(text)


def test_a_strangers_words_do_not_steer_the_terminal(
    cli: Any, app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """Answers, payloads, keys, tenants and arguments, by every command that shows them."""
    receiver.words = STEERING
    receiver.answers = [500]
    stored = STEERING.replace("\x00", "")
    webhooks.webhook("told", {})
    with app.app_context():
        made = webhooks.subscribe(receiver.url, ["told"], key=stored, tenant=stored)
        message = webhooks["told"].send({"text": STEERING}, key=stored, tenant=stored)
        webhooks.run_until_idle()
    commands = [
        ("show", message.id), ("show", made.id), ("show", STEERING), ("deliveries",),
        ("subscriptions",), ("explain", message.id, made.id), ("explain", STEERING, made.id),
        ("trigger", "told", "--data", json.dumps({"text": STEERING}), "--key", stored),
        ("trigger", STEERING), ("subscribe", receiver.url + STEERING, "told"),
        ("rotate", STEERING), ("deliveries", "--json"), ("show", message.id, "--json"),
    ]  # fmt: skip
    for command in commands:
        output = cli(*command).output
        assert OBEYED.search(output) is None, command
    shown = cli("show", message.id).output
    assert "evil" in shown and "\nfake" not in shown


class Terminal(io.StringIO):
    """A terminal, as far as commands can tell."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(("columns", "has_message"), [("80", False), ("200", True)])
def test_a_table_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str, has_message: bool
) -> None:
    """A narrow one goes without spare columns; ids stay in one piece."""
    need("rich", "test")
    terminal, identifier = Terminal(), "msg_" + "0" * 32
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", columns)
    rows = [("1", "pending", identifier, "https://a.example/" + "long/" * 12)]
    printing.echo_table(rows, "-", ("Id", "Status", "Message", "URL"), spare=("Message",))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert max(map(len, shown.splitlines())) <= int(columns)
    assert (identifier in shown) is has_message


def test_markup_of_rich_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that looks like Rich's markup is shown as it is."""
    need("rich", "test")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "dumb")
    printing.echo_table([("[link=https://evil.example]x[/link]",)], "-", ("URL",))
    assert "[link=https://evil.example]x[/link]" in terminal.getvalue()


def test_without_rich_a_row_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in a pipe, for grep and cut."""
    printing.echo_table([("1", "long"), ("22", "x")], "-", ("Id", "What"))
    assert capsys.readouterr().out == "1   long\n22  x\n"
