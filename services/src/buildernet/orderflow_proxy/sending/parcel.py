# SPDX-License-Identifier: MIT
"""An order made ready to be sent: serialised and signed once, whatever number of places it goes to.

A `Parcel` is shared by all destinations; a `Ticket` is its place in one destination's queue.
"""

from collections.abc import Hashable
from typing import Final

import msgspec

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.orderflow_proxy.order import Order, OrderKind
from buildernet.orderflow_proxy.sending.head import SECONDS_PER_BLOCK

TRANSACTION_BLOCKS: Final = 5
"""A transaction without a block is worth trying for this many, as the Go proxy's archive says."""

MISSED_S: Final = 2 * SECONDS_PER_BLOCK
"""What is added where only time can tell: two missed slots on the way to a block."""

UNKNOWN_BLOCK_S: Final = 60.0
"""How long an order is tried while nobody can say which block is being built: five blocks."""

CANCELLATION_S: Final = 1200.0
"""A cancellation without a block is tried this long: builders hold bundles for 100 blocks."""


class Parcel(msgspec.Struct, frozen=True):
    """One order, ready to be sent."""

    order: Order
    body: bytes
    """The JSON-RPC request."""
    signature: str
    """Of `body`, with this node's key."""
    last_block: int | None
    """The last block it is of use for; None where only `deadline_s` counts."""
    deadline_s: float
    """Monotonic time after which it is given up if the chain's head is not known, or if it has no
    block."""

    @property
    def slot(self) -> Hashable | None:
        """What it replaces: only the newest order of a slot is worth sending."""
        replacement = self.order.replacement
        return None if replacement is None else (self.order.signer, replacement.uuid)

    def is_over(self, *, now_s: float, head: int | None) -> bool:
        """Return whether no block can hold it any more.

        Args:
            now_s: Monotonic time.
            head: Number of the newest block, None when not known now.
        """
        if self.last_block is not None and head is not None:
            return head >= self.last_block
        return now_s >= self.deadline_s


def pack(
    order: Order, *, key: SigningKey, now_s: float, head: int | None, last_head: int | None = None
) -> Parcel:
    """Serialise and sign an order, and say until when it is worth sending.

    Args:
        order: The order.
        key: This node's.
        now_s: Monotonic time.
        head: Number of the newest block, None when not known now.
        last_head: The newest block that was known some time ago.
    """
    body = order.encode_request()
    last_block, seconds = order.target_block, UNKNOWN_BLOCK_S
    if order.kind is OrderKind.CANCELLATION:
        seconds = CANCELLATION_S
        # A block in a cancellation is not the block of what it cancels.
        last_block = None
    elif last_block is None and head is not None:
        blocks = TRANSACTION_BLOCKS if order.kind is OrderKind.TRANSACTION else 1
        last_block = head + blocks
    known = head if head is not None else last_head
    if last_block is not None and known is not None:
        # Should the head get lost on the way, time says it.
        seconds = max(last_block - known, 1) * SECONDS_PER_BLOCK + MISSED_S
    return Parcel(order, body, sign_body(key, body), last_block, now_s + seconds)


class Ticket:
    """A parcel's place in one queue."""

    __slots__ = ("alone", "attempts", "parcel", "queued_s", "sequence")

    def __init__(self, parcel: Parcel, *, sequence: int, queued_s: float) -> None:
        """Note when it came.

        Args:
            parcel: What is to be sent.
            sequence: Its number in the queue; later ones are higher.
            queued_s: Monotonic time.
        """
        self.parcel = parcel
        self.sequence = sequence
        self.queued_s = queued_s
        self.attempts = 0
        self.alone = False

    @property
    def size(self) -> int:
        """Bytes it counts in its queue."""
        return len(self.parcel.body)
