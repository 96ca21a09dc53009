# SPDX-License-Identifier: MIT
"""Which orders were taken already: a bounded set of keys that forgets.

Keys live in generations. A full or old generation is closed and the oldest one dropped as a whole,
so that forgetting costs no bookkeeping per key: one million keys take about 100 MB
(`python -m tests.bench dedup`), and no step holds the event loop for more than a few milliseconds.

A key is remembered by `add`, after the order was accepted, and never by looking it up: an order
that was refused in between may be sent again.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

GENERATIONS: Final = 8
"""A look-up asks each of them: more would cost time, fewer a longer pause when one is dropped."""


class SeenKeys:
    """Keys of at least the last `ttl_s` seconds, or of the last `capacity` orders."""

    def __init__(
        self, *, capacity: int, ttl_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        """Create an empty set.

        Args:
            capacity: Most keys held; above it the oldest generation goes early.
            ttl_s: A key is found for this long, and for at most a seventh longer.
            clock: Seconds, never going back.
        """
        self._size = max(1, capacity // GENERATIONS)
        self._span_s = ttl_s / (GENERATIONS - 1)
        self._clock = clock
        self._closes_at = clock() + self._span_s
        self._newest: set[bytes] = set()
        self._older: deque[set[bytes]] = deque(maxlen=GENERATIONS - 1)
        self.pushed_out = 0
        """Keys forgotten before their time because there were too many."""

    def __contains__(self, key: bytes) -> bool:
        self._turn()
        if key in self._newest:
            return True
        return any(key in generation for generation in self._older)

    def __len__(self) -> int:
        return len(self._newest) + sum(map(len, self._older))

    def add(self, key: bytes) -> None:
        """Remember a key."""
        self._turn()
        if len(self._newest) >= self._size:
            if len(self._older) == self._older.maxlen:
                self.pushed_out += len(self._older[0])
            self._close(self._clock())
        self._newest.add(key)

    def _turn(self) -> None:
        now = self._clock()
        steps = 0
        while now >= self._closes_at and steps < GENERATIONS:
            self._close(self._closes_at)
            steps += 1
        if steps == GENERATIONS:  # nothing came for longer than any key lives
            self._closes_at = now + self._span_s

    def _close(self, now: float) -> None:
        self._older.append(self._newest)  # drops the oldest at the other end
        self._newest = set()
        self._closes_at = now + self._span_s
