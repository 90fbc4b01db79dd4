"""How many senders there are to be: few where they wait for the processor, many for receivers."""

from __future__ import annotations

#: Senders that there always may be.
FEWEST = 1
#: Seconds over which the processor's share is measured.
MEASURED = 0.05
#: Shares of one processor: below the first more senders help, above the second fewer do.
_SPARE, _BUSY = 0.5, 0.75


class Pace:
    """Widens and narrows.

    :param most: how many senders there may be.
    :param now: seconds that only grow.
    :param used: seconds of the processor that this process has used.
    """

    def __init__(self, most: int, now: float, used: float) -> None:
        self._most = most
        self._since = (now, used)
        self.width = min(FEWEST, most)

    @property
    def is_widest(self) -> bool:
        return self.width == self._most

    def measure(self, now: float, used: float, waiting: bool) -> bool:
        """Take the measure anew; whether it was time to.

        :param waiting: whether anything waits for a sender.
        """
        passed = now - self._since[0]
        if passed < MEASURED:
            return False
        share = (used - self._since[1]) / passed
        self._since = (now, used)
        if share > _BUSY:
            self.width = max(self.width // 2, min(FEWEST, self._most))
        elif share < _SPARE and waiting:
            self.width = min(self.width * 2, self._most)
        return True
