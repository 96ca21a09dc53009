# SPDX-License-Identifier: MIT
"""The queue of one destination: bounded per class, one order per slot, nothing lost unsaid.

Four lanes, emptied in this order: cancellations, high, medium, low. Each has its own limits, so a
flood in one costs the others nothing, and cancellations have room of their own. What is being sent
keeps its room, so that it can always come back.

An order that fills the same slot as a waiting one (same signer and replacement uuid) takes its
place. Only a cancellation keeps its own unless a newer one comes: its successor may expire unsent,
and the destination would go on holding what was cancelled. The orders of a slot are sent one after
the other, each when the one before is answered, so that they cannot overtake each other.

Every ticket that leaves without being delivered goes through `drop` with its reason.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from buildernet.orderflow_proxy.order import Order, OrderKind, OrderPriority
from buildernet.orderflow_proxy.sending.parcel import Parcel, Ticket


class DropReason(StrEnum):
    """Why an order was not delivered to one destination; a label of the metrics."""

    EXPIRED = "expired"
    """Its block has passed."""
    QUEUE_FULL = "queue_full"
    """The oldest of its lane, when the lane was full."""
    SUPERSEDED = "superseded"
    """A newer order fills the same slot."""
    REFUSED = "refused"
    """The destination understood it and does not want it."""
    GONE = "gone"
    """The destination is no longer in the hub's list, or the proxy stops."""


class Lane(StrEnum):
    """A class of the queue."""

    CANCELLATION = "cancellation"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_LANE_OF: Final = {
    OrderPriority.HIGH: Lane.HIGH,
    OrderPriority.MEDIUM: Lane.MEDIUM,
    OrderPriority.LOW: Lane.LOW,
}


_ENVELOPE_BYTES: Final = 80
"""Of the JSON-RPC request around the parameter, the longest method included."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How much may wait in one lane."""

    orders: int
    size_bytes: int


OUTBOX_LIMITS: Final[Mapping[Lane, LaneLimits]] = {
    # 600 bytes each; as many as a whole network sends in the twenty minutes they are kept.
    Lane.CANCELLATION: LaneLimits(65_536, 32 << 20),
    # The Go proxy keeps 10 000 for a peer; at the 7 kB that bundles have on average these take
    # 70 MB, and one of the largest bundles (10 MiB) still leaves room.
    Lane.HIGH: LaneLimits(10_000, 48 << 20),
    Lane.MEDIUM: LaneLimits(10_000, 48 << 20),
    # What nobody would miss.
    Lane.LOW: LaneLimits(2_000, 16 << 20),
}


class _Lane:
    """Tickets of one class: those that may go, and those held back for a time or for their slot."""

    __slots__ = ("held", "limits", "ready", "size_bytes", "taken", "taken_bytes")

    def __init__(self, limits: LaneLimits) -> None:
        self.limits = limits
        self.ready: OrderedDict[int, Ticket] = OrderedDict()
        self.held: dict[int, Ticket] = {}
        self.size_bytes = 0
        self.taken = 0
        self.taken_bytes = 0

    def __len__(self) -> int:
        return len(self.ready) + len(self.held)

    def has_room(self, size: int) -> bool:
        fits = self.size_bytes + self.taken_bytes + size <= self.limits.size_bytes
        return len(self) + self.taken < self.limits.orders and fits

    def add(self, ticket: Ticket, *, first: bool) -> None:
        self.ready[ticket.sequence] = ticket
        if first:
            self.ready.move_to_end(ticket.sequence, last=False)
        self.size_bytes += ticket.size

    def take(self, ticket: Ticket) -> None:
        self.remove(ticket)
        self.taken += 1
        self.taken_bytes += ticket.size

    def end(self, ticket: Ticket) -> None:
        self.taken -= 1
        self.taken_bytes -= ticket.size

    def hold(self, ticket: Ticket) -> None:
        del self.ready[ticket.sequence]
        self.held[ticket.sequence] = ticket

    def release(self, ticket: Ticket) -> None:
        if self.held.pop(ticket.sequence, None) is not None:
            self.ready[ticket.sequence] = ticket
            self.ready.move_to_end(ticket.sequence, last=False)

    def remove(self, ticket: Ticket) -> bool:
        found = self.ready.pop(ticket.sequence, None) or self.held.pop(ticket.sequence, None)
        if found is not None:
            self.size_bytes -= ticket.size
        return found is not None

    def oldest(self) -> Ticket:
        return next(iter(self.ready.values() if self.ready else self.held.values()))


class Outbox:
    """What waits for one destination."""

    def __init__(
        self,
        *,
        drop: Callable[[Parcel, DropReason], None],
        limits: Mapping[Lane, LaneLimits] = OUTBOX_LIMITS,
    ) -> None:
        """Start empty.

        Args:
            drop: Told of every order that will not be delivered.
            limits: Of each lane.
        """
        self._drop = drop
        self._lanes = {lane: _Lane(limits[lane]) for lane in Lane}
        self._slots: dict[Hashable, list[Ticket]] = {}
        """The orders of each slot as they came; only the first may be sent, or is being sent."""
        self._due: list[tuple[float, int, Ticket]] = []
        self._sequence = 0

    def __len__(self) -> int:
        """Return how many orders wait, those that may not be sent yet included."""
        return sum(len(lane) for lane in self._lanes.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of the orders that wait."""
        return sum(lane.size_bytes for lane in self._lanes.values())

    @property
    def has_ready(self) -> bool:
        """Whether `take` would have something to look at."""
        return any(lane.ready for lane in self._lanes.values())

    @property
    def next_due_s(self) -> float | None:
        """When the first of the orders that were put back with a delay may go again."""
        return self._due[0][0] if self._due else None

    def has_room(self, order: Order) -> bool:
        """Return whether an order fits without another being dropped."""
        return self._lanes[_lane_of(order)].has_room(len(order.params) + _ENVELOPE_BYTES)

    def put(self, parcel: Parcel, *, now_s: float) -> None:
        """Add an order behind those of its lane; makes room by dropping the lane's oldest."""
        self._sequence += 1
        ticket = Ticket(parcel, sequence=self._sequence, queued_s=now_s)
        if parcel.slot is None:
            self._add(ticket)
            return
        line = self._slots.get(parcel.slot, [])
        if any(_has_higher_nonce(older, ticket) for older in line):
            self._drop(parcel, DropReason.SUPERSEDED)
            return
        for older in [*line]:
            if _supersedes(ticket, older):
                self._discard(older, DropReason.SUPERSEDED)
        self._add(ticket)
        line = self._slots.setdefault(parcel.slot, [])
        line.append(ticket)
        if line[0] is not ticket:
            self._lane(parcel).hold(ticket)

    def put_back(self, ticket: Ticket, *, not_before_s: float | None = None) -> None:
        """Return an order that could not be sent to the front of its lane.

        Args:
            ticket: From `take`.
            not_before_s: Monotonic time before which it is not taken again.
        """
        line = self._slots.get(ticket.parcel.slot, [])
        if any(_supersedes(newer, ticket) for newer in line[1:]):
            self.settle(ticket)
            self._drop(ticket.parcel, DropReason.SUPERSEDED)
            return
        ticket.attempts += 1
        lane = self._lane(ticket.parcel)
        lane.end(ticket)
        lane.add(ticket, first=True)
        if not_before_s is not None:
            lane.hold(ticket)
            heapq.heappush(self._due, (not_before_s, ticket.sequence, ticket))

    def take(self, *, now_s: float, head: int | None) -> Ticket | None:
        """Remove and return the next order to send, dropping those whose block has passed.

        It keeps its room until the caller ends it with `settle` or `put_back`.
        """
        while self._due and self._due[0][0] <= now_s:
            *_, ticket = heapq.heappop(self._due)
            self._lane(ticket.parcel).release(ticket)
        for lane in self._lanes.values():
            while lane.ready:
                ticket = next(iter(lane.ready.values()))
                if ticket.parcel.is_over(now_s=now_s, head=head):
                    self._discard(ticket, DropReason.EXPIRED)
                else:
                    lane.take(ticket)
                    return ticket
        return None

    def settle(self, ticket: Ticket) -> None:
        """End a ticket from `take` that was delivered or refused."""
        self._lane(ticket.parcel).end(ticket)
        self._leave_slot(ticket)

    def sweep(self, *, now_s: float, head: int | None) -> None:
        """Drop every waiting order whose block has passed."""
        for ticket in self._all():
            if ticket.parcel.is_over(now_s=now_s, head=head):
                self._discard(ticket, DropReason.EXPIRED)

    def clear(self) -> None:
        """Drop everything: the destination is gone."""
        for ticket in self._all():
            self._discard(ticket, DropReason.GONE)
        self._due.clear()

    def _all(self) -> list[Ticket]:
        return [
            ticket
            for lane in self._lanes.values()
            for ticket in (*lane.ready.values(), *lane.held.values())
        ]

    def _lane(self, parcel: Parcel) -> _Lane:
        return self._lanes[_lane_of(parcel.order)]

    def _add(self, ticket: Ticket) -> None:
        lane = self._lane(ticket.parcel)
        while len(lane) and not lane.has_room(ticket.size):
            self._discard(lane.oldest(), DropReason.QUEUE_FULL)
        lane.add(ticket, first=False)

    def _discard(self, ticket: Ticket, reason: DropReason) -> None:
        """Drop a ticket that waits; one that is being sent stays."""
        if self._lane(ticket.parcel).remove(ticket):
            self._leave_slot(ticket)
            self._drop(ticket.parcel, reason)

    def _leave_slot(self, ticket: Ticket) -> None:
        """Let the next order of its slot go, if this was the one to go first."""
        slot = ticket.parcel.slot
        if slot is None:
            return
        line = self._slots[slot]
        was_first = line[0] is ticket
        line.remove(ticket)
        if not line:
            del self._slots[slot]
        elif was_first:
            self._lane(line[0].parcel).release(line[0])


def _supersedes(newer: Ticket, older: Ticket) -> bool:
    return _is_cancellation(newer) or not _is_cancellation(older)


def _is_cancellation(ticket: Ticket) -> bool:
    return ticket.parcel.order.kind is OrderKind.CANCELLATION


def _has_higher_nonce(one: Ticket, other: Ticket) -> bool:
    mine, theirs = one.parcel.order.replacement, other.parcel.order.replacement
    if mine is None or theirs is None or mine.nonce is None or theirs.nonce is None:
        return False
    return mine.nonce > theirs.nonce


def _lane_of(order: Order) -> Lane:
    if order.kind is OrderKind.CANCELLATION:
        return Lane.CANCELLATION
    return _LANE_OF[order.priority]
