"""What ``listen`` answers: a script of statuses, of silence and of broken connections."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click
from werkzeug import Request

_STATUS = re.compile(r"([2-5][0-9]{2})(?::([0-9]{1,6}))?")
_USAGE = "a status such as 503, 429:60 with a Retry-After of 60 seconds, slow, or drop"


class Answer(NamedTuple):
    """One answer; without a status the connection is dropped."""

    status: int | None
    verdict: str
    retry_after: str | None = None


class Step(NamedTuple):
    """One word of a script."""

    status: int | None
    retry_after: str | None = None
    slow: bool = False


class ScriptType(click.ParamType):  # type: ignore[type-arg]  # older clicks know none
    """A script as an option: ``503,429:60,slow,drop,200``."""

    name = "script"

    def convert(self, value: Any, param: Any, ctx: Any) -> Sequence[Step]:
        """The steps of a script."""
        if not isinstance(value, str):
            return tuple(value)
        return tuple(self._step(word.strip(), param, ctx) for word in value.split(","))

    def _step(self, word: str, param: Any, ctx: Any) -> Step:
        if word == "drop":
            return Step(None)
        if word == "slow":
            return Step(200, slow=True)
        found = _STATUS.fullmatch(word)
        if found is None:
            self.fail(f"{word!r} is none of these: {_USAGE}.", param, ctx)
        return Step(int(found[1]), found[2])


class Script:
    """Answers one request after the other as the script says; then as its last word says.

    :param too_long: seconds after which no sender waits any more.
    """

    def __init__(self, steps: Sequence[Step], too_long: float) -> None:
        self._steps = self._all(steps)
        self._too_long = too_long
        self._lock = threading.Lock()
        self._never = threading.Event()

    @staticmethod
    def _all(steps: Sequence[Step]) -> Iterator[Step]:
        yield from steps
        while True:
            yield steps[-1]

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            step = next(self._steps)
        if step.slow:
            self._never.wait(self._too_long)
            return Answer(step.status, "verified, and answered too late")
        if step.status is None:
            return Answer(None, "verified, and dropped without an answer")
        return Answer(step.status, "verified", step.retry_after)

    def close(self) -> None:
        """Let those that are kept waiting go."""
        self._never.set()
