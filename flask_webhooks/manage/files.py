"""The package's own static files, answered from memory: each is a few kilobytes."""

from __future__ import annotations

from pathlib import Path

from flask import Response, abort, request

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def is_own(name: str) -> bool:
    """Whether there is such a file."""
    return name in {path.name for path in _FOLDER.iterdir()}


def own_file(name: str) -> Response:
    """A file; 404 where there is none."""
    if not is_own(name):
        abort(404)
    path = _FOLDER / name
    response = Response(path.read_bytes(), mimetype=_KINDS.get(path.suffix, "text/plain"))
    response.cache_control.no_cache = True
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]
