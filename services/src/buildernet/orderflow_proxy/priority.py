# SPDX-License-Identifier: MIT
"""Which class of the queues a user's order waits in, from what its signer sent before.

The score counts against a signer: many requests and invalid ones raise it. It is the mean over the
buckets of the last minute. FlowProxy's rules with three of its oddities mended:

- its upper threshold had no effect; here a signer above it is always low;
- "cannot fail" (every transaction may be left out) was high whatever the score, so a spammer only
  had to say so; here it is high below the upper threshold;
- a bundle without transactions was high by accident; here cancellations are high by rule.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from buildernet.orderflow_proxy.order import OrderKind, OrderPriority

SUSPICIOUS_SCORE: Final = 3.0
SPAM_SCORE: Final = 6.0

BUCKET_S: Final = 4.0
BUCKETS: Final = 15
"""Sixty seconds of history."""

MAX_SIGNERS: Final = 65_536
"""Signers remembered; the one not seen for longest goes first and is unknown again."""

_MAX_VOLUME: Final = 3.0
_MAX_INVALID: Final = 5.0
_INVALID_WEIGHT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Traits:
    """What the class of an order depends on, besides its signer."""

    kind: OrderKind
    has_blobs: bool
    cannot_fail: bool
    """Every transaction may be left out without failing the bundle; single transactions too."""
    is_replaceable: bool


@dataclass(slots=True)
class _Bucket:
    starts_at: float
    requests: int = 0
    invalid: int = 0

    @property
    def score(self) -> float:
        if not self.requests:
            return 0.0
        volume = min(math.log10(self.requests), _MAX_VOLUME)
        return volume + min(_INVALID_WEIGHT * self.invalid / self.requests, _MAX_INVALID)


class Scores:
    """What each signer did in the last minute."""

    def __init__(
        self, *, capacity: int = MAX_SIGNERS, clock: Callable[[], float] = monotonic
    ) -> None:
        """Create an empty history.

        Args:
            capacity: Most signers remembered.
            clock: Seconds, never going back.
        """
        self._signers: OrderedDict[bytes, deque[_Bucket]] = OrderedDict()
        self._capacity = capacity
        self._clock = clock

    def __len__(self) -> int:
        return len(self._signers)

    def score(self, signer: bytes) -> float | None:
        """Return the mean over the buckets of the last minute, None for an unknown signer."""
        buckets = self._signers.get(signer)
        if buckets is None:
            return None
        oldest = self._clock() - BUCKET_S * BUCKETS
        scores = [bucket.score for bucket in buckets if bucket.starts_at > oldest]
        return sum(scores) / len(scores) if scores else None

    def count(self, signer: bytes, *, invalid: bool = False) -> None:
        """Count a request; an invalid one in addition."""
        buckets = self._signers.get(signer)
        if buckets is None:
            buckets = self._signers[signer] = deque(maxlen=BUCKETS)
            if len(self._signers) > self._capacity:
                self._signers.popitem(last=False)
        else:
            self._signers.move_to_end(signer)
        now = self._clock()
        if not buckets or now - buckets[-1].starts_at >= BUCKET_S:
            buckets.append(_Bucket(now))
        buckets[-1].requests += 1
        buckets[-1].invalid += invalid


def classify(traits: Traits, *, score: float | None) -> OrderPriority:
    """Return the class of an order.

    Args:
        traits: Of the order.
        score: Of its signer, before this order; None when unknown.
    """
    if traits.kind is OrderKind.CANCELLATION:
        return OrderPriority.HIGH
    if score is None or score >= SPAM_SCORE or traits.has_blobs:
        return OrderPriority.LOW
    if traits.cannot_fail:
        return OrderPriority.HIGH
    if score < SUSPICIOUS_SCORE:
        return OrderPriority.HIGH if traits.is_replaceable else OrderPriority.MEDIUM
    return OrderPriority.LOW
