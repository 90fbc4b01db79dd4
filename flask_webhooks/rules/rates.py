"""How often each host may be called: one request at a time, spaced evenly after a short burst."""

from __future__ import annotations

import threading

#: Seconds' worth of requests that a host that was left alone may get at once.
BURST = 1.0
#: Hosts that are remembered; one that is forgotten starts afresh.
_MOST = 10_000


class Rates:
    """A rate for each host, for many threads at once.

    :param rate: requests a second.
    """

    def __init__(self, rate: float) -> None:
        self._space = 1 / rate
        self._burst = max(BURST - self._space, 0.0)
        self._lock = threading.Lock()
        #: For each host: when its next request is free, and when the last one put off is to come.
        self._hosts: dict[str, tuple[float, float]] = {}

    def wait(self, host: str, now: float) -> float:
        """Take the next request to ``host``, and return 0; or seconds to put it off for.

        Requests that are put off get different moments, so that they don't all come back at once.

        :param now: seconds that only grow.
        """
        with self._lock:
            free, last = self._hosts.get(host, (now - self._burst, now))
            if free <= now:
                free = max(free, now - self._burst) + self._space
                wait = 0.0
            else:
                last = max(last + self._space, free)
                wait = last - now
            self._keep(host, free, last, now)
            return wait

    def _keep(self, host: str, free: float, last: float, now: float) -> None:
        if len(self._hosts) >= _MOST and host not in self._hosts:
            self._hosts = {h: t for h, t in self._hosts.items() if max(t) > now}
            if len(self._hosts) >= _MOST:
                self._hosts.clear()
        self._hosts[host] = (free, last)
