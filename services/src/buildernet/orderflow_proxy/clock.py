# SPDX-License-Identifier: MIT
"""Unix time in microseconds that never repeats or goes back while the process runs.

A user's order without a replacement nonce gets its time of arrival as nonce. Two orders in one
microsecond, or a clock that is set back, must not make the later one look out of date.
"""

import time
from collections.abc import Callable
from typing import Final

_NS_PER_US: Final = 1000


class ArrivalClock:
    """Gives every order a time of its own."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Start.

        Args:
            wall_ns: Nanoseconds since 1970, as the system believes.
        """
        self._wall_ns = wall_ns
        self._last = 0

    def now_us(self, count: int = 1) -> int:
        """Return the time, but more than the last time; `count - 1` times after it are taken too.

        Args:
            count: Orders that may get a time of their own, from the returned one on.
        """
        first = max(self._wall_ns() // _NS_PER_US, self._last + 1)
        self._last = first + count - 1
        return first

    def wall_s(self) -> float:
        """Return the system's time in seconds, for comparison with others' times."""
        return self._wall_ns() / 1e9
