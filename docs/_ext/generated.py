"""Two directives that write pages out of the package: its settings, and its commands' help."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import click
from docutils import nodes
from flask import Flask
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flask_webhooks import Webhooks
from flask_webhooks.config import PREFIX, Settings


def comments_of(cls: type) -> dict[str, str]:
    """The ``#:`` comment above each annotated name of a class."""
    source = inspect.getsource(cls)
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = " ".join(_above(lines, node.lineno - 1))
    return found


def _above(lines: list[str], index: int) -> list[str]:
    start = index
    while lines[start - 1].strip().startswith("#:"):
        start -= 1
    return [line.strip().removeprefix("#:").strip() for line in lines[start:index]]


class SettingsDirective(SphinxDirective):
    """``{settings}`` with the names of fields: their types, defaults and comments."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        wanted = " ".join(self.content).split()
        types = {field.name: str(field.type) for field in fields(Settings)}
        comments = comments_of(Settings)
        text = "\n\n".join(
            _confval(name, types[name], getattr(Settings(), name), comments[name])
            for name in wanted
        )
        return self.parse_text_to_nodes(text)


def _confval(name: str, kind: str, default: Any, comment: str) -> str:
    told = f"`{_readable(kind)}`"
    if default not in (None, ()):
        told += f", by default `{_shown(default)}`"
    return f":::{{confval}} {PREFIX}{name.upper()}\n{told}\n\n{comment}\n:::"


def _readable(kind: str) -> str:
    """Input: ``tuple[float, ...]``. Output: ``list[float]``, as one writes it in a config."""
    if kind == "tuple[str, int] | None":  # a host and a port, read out of a URL
        return "str | None"
    if kind.startswith("Literal["):
        kind = kind.removeprefix("Literal[").replace("]", "").replace(", ", " | ")
    return kind.replace("tuple[", "list[").replace(", ...]", "]").replace("Network", "str")


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return "[" + ", ".join(f"{item:g}" for item in default) + "]"
    return f"{default:g}" if type(default) is float else repr(default)


def command(name: str) -> click.Command:
    """One command of ``flask webhooks``, of an app that does nothing else."""
    app = Flask("docs")
    Webhooks(app)
    group = app.cli.commands["webhooks"]
    assert isinstance(group, click.Group)
    found = group.get_command(click.Context(group), name)
    assert found is not None, name
    return found


class CommandDirective(SphinxDirective):
    """``{command} listen``: its usage, its help and its options."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        return self.parse_text_to_nodes("\n".join(_help(name, command(name))))


def _help(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"flask webhooks {name}")
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    yield from ("```text", usage, "```", "", _literal(inspect.cleandoc(command.help or "")), "")
    for option in command.params:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record and record[1]:
            yield f"`{record[0]}`\n: {_literal(record[1])}\n"
        elif record:
            yield f"`{record[0]}`\n"


def _literal(text: str) -> str:
    """Options as code: two hyphens in a sentence would become a dash, and JSON lose its quotes."""
    return re.sub(r"(?<!\S)--[a-z][a-z-]*|\{.*\}", r"`\g<0>`", text)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settings", SettingsDirective)
    app.add_directive("command", CommandDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
