"""How often each host and each subscription may be called: spaced evenly after a short burst."""

from __future__ import annotations

import threading

#: Seconds' worth of requests that one that was left alone may get at once.
BURST = 1.0
#: Hosts and subscriptions that are remembered; one that is forgotten starts afresh.
_MOST = 10_000


class Rates:
    """A rate for each key, for many threads at once.

    A key is a host or the id of a subscription; its rate is given with every question.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: For each key: when its next request is free, and when the last one put off is to come.
        self._keys: dict[str, tuple[float, float]] = {}

    def wait(self, key: str, rate: float, now: float) -> float:
        """Take the next request to ``key``, and return 0; or seconds to put it off for.

        Requests that are put off get different moments, so that they don't all come back at once.

        :param rate: requests a second.
        :param now: seconds that only grow.
        """
        space = 1 / rate
        burst = max(BURST - space, 0.0)
        with self._lock:
            free, last = self._keys.get(key, (now - burst, now))
            if free <= now:
                free = max(free, now - burst) + space
                wait = 0.0
            else:
                last = max(last + space, free)
                wait = last - now
            self._keep(key, free, last, now)
            return wait

    def free(self, key: str, rate: float, now: float) -> int:
        """How many requests to ``key`` may go at once; none is taken."""
        space = 1 / rate
        with self._lock:
            free, _ = self._keys.get(key, (now - BURST, now))
        # What rounding takes off the last bit is not to cost a request.
        return max(int((min(now - free, max(BURST - space, 0.0)) + space) / space + 1e-6), 0)

    def _keep(self, key: str, free: float, last: float, now: float) -> None:
        if len(self._keys) >= _MOST and key not in self._keys:
            self._keys = {k: t for k, t in self._keys.items() if max(t) > now}
            if len(self._keys) >= _MOST:
                self._keys.clear()
        self._keys[key] = (free, last)
