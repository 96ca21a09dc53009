# SPDX-License-Identifier: MIT
"""A point in time that is passed down instead of time-outs, so nested waits share one budget."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from tests.harness.errors import DeadlineError


@dataclass(frozen=True, slots=True)
class Deadline:
    """When waiting must end."""

    seconds: float
    """The whole budget, for messages."""
    at_monotonic: float
    """`time.monotonic()` value at which it is over."""

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline `seconds` from now."""
        return cls(seconds, time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; 0.0 when it is over, never negative."""
        return max(0.0, self.at_monotonic - time.monotonic())

    def elapsed(self) -> float:
        """Seconds since the deadline was set."""
        return time.monotonic() - (self.at_monotonic - self.seconds)

    def require(self, awaited: str) -> float:
        """Seconds left.

        Raises:
            DeadlineError: It is over; the message says what was awaited.
        """
        left = self.remaining()
        if left <= 0:
            raise DeadlineError(f"not within {self.seconds:g} s: {awaited}")
        return left
