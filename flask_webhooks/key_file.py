"""The random key that is kept beside the default database; made on first need."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from .rules.key_texts import new_secret


def key_file(path: Path) -> str:
    """The key in a file, which only its owner may read; a new one where there is none."""
    if path.exists():
        return path.read_text("ascii").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    key = new_secret().removeprefix("whsec_")
    # Written apart and linked into place, so that a second process reads all of it or none.
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text("ascii").strip()
