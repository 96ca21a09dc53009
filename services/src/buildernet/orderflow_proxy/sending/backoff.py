# SPDX-License-Identifier: MIT
"""Delays between attempts: doubled each time, bounded, and never the same on two nodes."""

from collections.abc import Callable
from random import SystemRandom
from typing import Final

FIRST_S: Final = 0.05
"""A restarted process listens again after less than a second."""

LONGEST_S: Final = 2.0
"""A peer that comes back gets what waits for it well within one block."""

_LONGEST_EXPONENT: Final = 16
_random = SystemRandom().random


def compute_backoff(
    attempts: int,
    *,
    first_s: float = FIRST_S,
    longest_s: float = LONGEST_S,
    random: Callable[[], float] = _random,
) -> float:
    """Return the seconds to wait after so many failed attempts (1 is the first)."""
    whole = min(first_s * 2.0 ** min(max(attempts - 1, 0), _LONGEST_EXPONENT), longest_s)
    return whole * (0.5 + random() / 2)
