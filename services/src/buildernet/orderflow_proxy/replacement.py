# SPDX-License-Identifier: MIT
"""The slots that replaceable orders fill: who may replace what, and which order is out of date.

A slot is a signer's replacement uuid. Orders in a slot are never judged by the general memory of
duplicates, because A, B and A again is a sequence of three different wishes
(FlowProxy issue 67). Instead each slot remembers its highest nonce and what stood there last:

- a lower nonce is out of date and refused (issue 90): it was overtaken on its way; so is what
  arrived before the cancellation that emptied the slot, although it was verified after it;
- the same nonce with the same content is a duplicate;
- everything else is taken, and a cancellation always is.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from buildernet.orderflow_proxy.order import Order, OrderKind, OrderRefusedError, OrderSource

MAX_SLOTS: Final = 262_144
"""About 100 MB when full. A forgotten slot takes any nonce again."""

_CANCELLED: Final = b""
"""Content of an emptied slot: what stood there before may come back under the same nonce."""


class StaleNonceError(OrderRefusedError):
    """An order's replacement nonce is lower than one that was already taken."""


_FROM_NODE: Final = b"\1"


@dataclass(frozen=True, slots=True)
class _Slot:
    nonce: int
    content: bytes
    cancelled_us: int
    """When the last cancellation arrived; 0 for none."""


class Slots:
    """The newest order of each slot."""

    def __init__(self, *, capacity: int = MAX_SLOTS) -> None:
        """Create empty slots.

        Args:
            capacity: Most slots; the one not used for longest is forgotten first.
        """
        self._slots: OrderedDict[bytes, _Slot] = OrderedDict()
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._slots)

    def is_duplicate(self, order: Order) -> bool:
        """Return whether exactly this order stands in its slot.

        Raises:
            StaleNonceError: A newer one does, or was cancelled there after this arrived.
        """
        if order.replacement is None:
            raise ValueError("an order without a replacement uuid has no slot")
        slot = self._slots.get(_key(order))
        nonce = order.replacement.nonce
        if slot is None or order.kind is OrderKind.CANCELLATION:
            return False  # never lost: a cancellation that comes twice is forwarded twice
        if order.received_at_us < slot.cancelled_us:
            raise StaleNonceError("it was cancelled while it was being verified")
        if nonce is None:
            return False
        if nonce < slot.nonce:
            raise StaleNonceError(f"replacementNonce {nonce} is older than {slot.nonce}")
        if nonce != slot.nonce:
            return False
        known = {order.key} if order.source is OrderSource.USER else {order.key, _content(order)}
        return slot.content in known

    def put(self, order: Order) -> None:
        """Remember an order that was accepted."""
        if order.replacement is None:
            raise ValueError("an order without a replacement uuid has no slot")
        key, nonce = _key(order), order.replacement.nonce
        slot = self._slots.get(key) or _Slot(-1, _CANCELLED, 0)
        cancelled_us = slot.cancelled_us
        if nonce is None:  # eth_cancelBundle: what it cancels stays overtaken
            nonce = slot.nonce
        if order.kind is OrderKind.CANCELLATION:
            nonce = max(nonce, slot.nonce)
            cancelled_us = max(cancelled_us, order.received_at_us)
        self._slots[key] = _Slot(nonce, _content(order), cancelled_us)
        self._slots.move_to_end(key)
        if len(self._slots) > self._capacity:
            self._slots.popitem(last=False)


def _content(order: Order) -> bytes:
    """Return what a slot remembers of an order.

    What another node sent went to the builder alone; the same from a user is no duplicate of it.
    """
    if order.kind is OrderKind.CANCELLATION:
        return _CANCELLED
    return order.key if order.source is OrderSource.USER else order.key + _FROM_NODE


def _key(order: Order) -> bytes:
    if order.replacement is None:
        raise ValueError("an order without a replacement uuid has no slot")
    return order.signer.raw + order.replacement.uuid.bytes
