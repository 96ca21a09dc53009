# SPDX-License-Identifier: MIT
"""How many orders one signer may send: a token bucket each, bounded in number.

A key costs nothing to make, so this guards against a client that runs wild, not against an
attacker; HAProxy's limits per address and the priority classes do that.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from buildernet.orderflow_proxy.order import OrderRefusedError

MAX_SIGNERS: Final = 65_536
"""Buckets kept, about 20 MB. A forgotten signer starts with a full bucket."""


BYTES_PER_TOKEN: Final = 32 * 1024
"""An order of more costs as several: 500 orders of 10 MiB a second would be an hour's work."""


class OrderRateError(OrderRefusedError):
    """A signer sends more orders than one signer may."""


class RateLimiter:
    """Buckets that refill `per_second` tokens a second and hold as many."""

    def __init__(
        self,
        per_second: int,
        *,
        capacity: int = MAX_SIGNERS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Create the limiter.

        Args:
            per_second: Rate and burst of one signer; 0 lets everything pass.
            capacity: Most signers remembered; the one not seen for longest goes first.
            clock: Seconds, never going back.
        """
        self._rate = per_second
        self._capacity = capacity
        self._clock = clock
        self._empty_at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._empty_at)

    def take(self, signer: bytes, size: int = 0) -> None:
        """Take the tokens that an order of a signer costs.

        A bucket is one number: when it would have been empty had it only filled since.

        Args:
            signer: Whose bucket.
            size: Bytes; every full `BYTES_PER_TOKEN` cost another token, all together no more than
                a full bucket has.

        Raises:
            OrderRateError: There are not so many left.
        """
        if not self._rate:
            return
        now = self._clock()
        start = max(self._empty_at.get(signer, 0.0), now - 1.0)
        tokens = 1 if size < BYTES_PER_TOKEN else min(1 + size // BYTES_PER_TOKEN, self._rate)
        if now - start < tokens / self._rate * (1 - 1e-9):
            raise OrderRateError(f"Rate limited: more than {self._rate} orders per second")
        self._empty_at[signer] = start + tokens / self._rate
        self._empty_at.move_to_end(signer)
        if len(self._empty_at) > self._capacity:
            self._empty_at.popitem(last=False)
