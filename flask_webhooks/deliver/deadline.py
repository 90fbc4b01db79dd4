"""Counts the total time of one attempt, from the look-up to the last byte of the answer."""

from __future__ import annotations

from collections.abc import Callable

from urllib3.util import Timeout

from .outcome import Failure, Reason


class Deadline(Timeout):
    """When an attempt has to end. A ``Timeout`` only so that requests hands it through.

    :param spent: seconds that are over already.
    :ivar ends: when it passes, by its clock.
    :ivar phase: what is being done, for the message when time is up.
    """

    def __init__(self, seconds: float, clock: Callable[[], float], spent: float = 0.0) -> None:
        self.clock = clock
        self.phase = "starting"
        self._seconds = seconds
        self.started = clock() - spent
        self.ends = self.started + seconds

    def remaining(self) -> float:
        """Give the seconds left: more than 0, or it raises :class:`Failure`."""
        left = self.left()
        if left <= 0:
            raise self.passed()
        return left

    def left(self) -> float:
        """The seconds left, below 0 when it has passed."""
        return self.ends - self.clock()

    def passed(self) -> Failure:
        return Failure(Reason.timeout, f"{self._seconds:g} s were over while {self.phase}")
