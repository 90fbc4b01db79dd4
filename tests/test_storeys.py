"""The house keeps its shape: imports only fall, and every library has one door."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import flask_webhooks

ROOT = Path(flask_webhooks.__file__).parent

#: From the top down. A module may import what stands in a lower storey, or in its own package.
STOREYS = (
    ("flask_webhooks",),
    ("extension",),
    ("installing",),
    ("cli", "manage", "watching", "adoption", "testing"),
    ("door",),
    ("state",),
    ("delivering",),
    (
        "describe",
        "emit",
        "capture",
        "deliver",
        "subscribing",
        "operating",
        "looking",
        "erasing",
        "telling",
        "explaining",
    ),  # fmt: skip
    ("arguments",),
    ("declarations", "config", "key_file", "reports"),
    ("store",),
    ("rules", "signals"),
    ("exceptions",),
)

#: Foreign libraries, and the rooms that may import them.
DOORS = {
    "apispec": ("describe",),
    "marshmallow": ("describe", "manage.api"),
    "jsonschema_rs": ("describe",),
    "requests": ("deliver.transport", "deliver.connections"),
    "urllib3": ("deliver.deadline",),
    "httptools": ("deliver.exchange",),
    "certifi": (),
    "socket": ("deliver.dialling", "deliver.connections", "deliver.exchange", "deliver.polling"),
    "ssl": ("deliver.connections", "deliver.exchange"),
    # Other ways out, which nobody takes.
    **dict.fromkeys(
        ("asyncio", "aiohttp", "ftplib", "http.client", "httpx", "smtplib", "urllib.request")
        + ("xmlrpc",),
        (),
    ),
    "sqlalchemy": ("store",),
    "cryptography": ("rules.signing_keys", "rules.sealing"),
    "prometheus_client": ("telling.metrics",),
    "opentelemetry": ("telling.spans",),
    "celery": ("deliver.engines.celery",),
    "itsdangerous": ("manage",),
    "jinja2": ("manage",),
    "markupsafe": ("manage.board",),
    "blinker": ("declarations", "signals", "adoption", "extension"),
    "rich": ("cli.printing",),
    "flask": ("extension", "installing", "door", "cli", "manage", "watching", "adoption"),
}


@functools.cache
def _modules() -> tuple[tuple[str, ast.Module], ...]:
    return tuple(_parsed())


def _parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "flask_webhooks"
        yield name, ast.parse(path.read_text("utf-8"))


@functools.cache
def _imports(name: str, tree: ast.Module) -> tuple[str, ...]:
    """Everything that a module imports, also inside functions; our own modules without prefix."""
    return tuple(_imported(name, tree))


def _imported(name: str, tree: ast.Module) -> Iterator[str]:
    is_package = (ROOT / name.replace(".", "/")).is_dir()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.removeprefix("flask_webhooks.")
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).removeprefix("flask_webhooks.")
        elif isinstance(node, ast.ImportFrom):
            base = [] if name == "flask_webhooks" else name.split(".")
            above = node.level - (1 if is_package or name == "flask_webhooks" else 0)
            base = base[: len(base) - above] if above else base
            found = [*base, *([node.module] if node.module else [])]
            yield from (
                [".".join(found)]
                if node.module
                else (".".join([*found, a.name]) for a in node.names)
            )


def _room(module: str) -> str:
    return module.split(".")[0]


def _storey(module: str) -> int | None:
    room = _room(module)
    return next((i for i, rooms in enumerate(STOREYS) if room in rooms), None)


@pytest.mark.parametrize("name, tree", _modules(), ids=lambda value: str(value)[:40])
def test_imports_only_fall(name: str, tree: ast.Module) -> None:
    """No module imports one of its own storey or of a higher one, save inside its package."""
    storey = _storey(name)
    assert storey is not None, f"{name} stands in no storey"
    for imported in _imports(name, tree):
        target = _storey(imported)
        if target is not None and _room(imported) != _room(name):
            assert target > storey, f"{name} may not import {imported}"


@pytest.mark.parametrize("library", sorted(DOORS))
def test_every_library_has_one_door(library: str) -> None:
    """A foreign library is imported only in the rooms that are its door."""
    allowed = DOORS[library]
    for name, tree in _modules():
        for imported in _imports(name, tree):
            if imported == library or imported.startswith(library + "."):
                assert name.startswith(allowed), f"{name} may not import {library}"


def test_the_modules_form_no_circle() -> None:
    """No chain of imports leads from a module back to itself."""
    names = {name for name, _ in _modules()}
    graph = {
        name: {i for i in _imports(name, tree) if i in names and i != name}
        for name, tree in _modules()
    }
    while free := {name for name, targets in graph.items() if not targets}:
        graph = {n: targets - free for n, targets in graph.items() if n not in free}
    assert graph == {}


def test_every_module_says_its_job() -> None:
    """Every module opens with a docstring whose first line is a sentence."""
    silent = [n for n, tree in _modules() if not (ast.get_docstring(tree) or "").strip()]
    assert silent == []
