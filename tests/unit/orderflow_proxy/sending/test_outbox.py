# SPDX-License-Identifier: MIT
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from buildernet.ethereum.signature import SigningKey
from buildernet.orderflow_proxy.order import Order, OrderKind, OrderPriority, Replacement
from buildernet.orderflow_proxy.sending.outbox import (
    OUTBOX_LIMITS,
    DropReason,
    Lane,
    LaneLimits,
    Outbox,
)
from buildernet.orderflow_proxy.sending.parcel import Parcel, Ticket, pack
from tests.support.orderflow_nodes import make_order

KEY = SigningKey(b"\x01" * 32)
SMALL = {lane: LaneLimits(4, 4000) for lane in Lane}


class Box:
    """An outbox that remembers what it dropped."""

    def __init__(self) -> None:
        self.dropped: list[tuple[int, DropReason]] = []
        self.box = Outbox(drop=self._drop, limits=SMALL)

    def _drop(self, parcel: Parcel, reason: DropReason) -> None:
        self.dropped.append((number(parcel), reason))

    def put(self, order: Order, *, head: int | None = None) -> None:
        self.box.put(pack(order, key=KEY, now_s=0, head=head), now_s=0)

    def take(self, *, now_s: float = 0, head: int | None = None) -> Ticket:
        ticket = self.box.take(now_s=now_s, head=head)
        assert ticket is not None
        return ticket

    def take_all(self) -> list[int]:
        taken = []
        while (ticket := self.box.take(now_s=0, head=None)) is not None:
            taken.append(number(ticket.parcel))
            self.box.settle(ticket)
        return taken


def number(parcel: Parcel) -> int:
    return int.from_bytes(parcel.order.key)


def cancellation(number: int, uuid: int | None = None) -> Order:
    return make_order(number, uuid=uuid, kind=OrderKind.CANCELLATION)


def test_lanes_are_emptied_in_their_order_and_each_in_its_own() -> None:
    box = Box()
    for index, priority in enumerate(("low", "medium", "high", "low", "medium", "high")):
        box.put(make_order(index, priority=OrderPriority(priority)))
    box.put(cancellation(6))
    assert box.take_all() == [6, 2, 5, 1, 4, 0, 3]
    assert box.dropped == []


def test_full_lane_drops_its_oldest_and_no_other_lane_suffers() -> None:
    box = Box()
    box.put(make_order(100, priority=OrderPriority.LOW))
    box.put(cancellation(101))
    for index in range(6):
        box.put(make_order(index))
    assert box.dropped == [(0, DropReason.QUEUE_FULL), (1, DropReason.QUEUE_FULL)]
    assert box.take_all() == [101, 2, 3, 4, 5, 100]


def test_bytes_count_too() -> None:
    box = Box()
    for index in range(3):
        box.put(make_order(index, size=800))  # two hexadecimal digits a byte
    assert [index for index, _ in box.dropped] == [0]
    assert 0 < box.box.size_bytes <= 4000


def test_has_room_says_what_put_will_do() -> None:
    box = Box()
    for index in range(4):
        assert box.box.has_room(make_order(index))
        box.put(make_order(index))
    assert not box.box.has_room(make_order(4))
    assert box.box.has_room(cancellation(5))
    assert not box.box.has_room(make_order(6, size=2000, priority=OrderPriority.LOW))


def test_an_order_is_over_when_its_block_is_there() -> None:
    box = Box()
    box.put(make_order(1, target_block=10), head=8)
    box.put(make_order(2, target_block=11), head=8)
    assert number(box.take(head=10).parcel) == 2
    assert box.dropped == [(1, DropReason.EXPIRED)]


def test_sweep_drops_what_is_over_without_a_taker() -> None:
    box = Box()
    box.put(make_order(1, target_block=10))
    box.put(make_order(2, target_block=12))
    box.put(cancellation(3))
    box.box.sweep(now_s=0, head=10)
    assert box.dropped == [(1, DropReason.EXPIRED)]
    box.box.sweep(now_s=1e9, head=None)
    assert [reason for _, reason in box.dropped] == [DropReason.EXPIRED] * 3
    assert len(box.box) == box.box.size_bytes == 0


def test_a_slot_being_sent_holds_the_next_back_until_it_is_answered() -> None:
    box = Box()
    box.put(make_order(1, uuid=5))
    first = box.take()
    box.put(cancellation(2, uuid=5))
    assert box.box.take(now_s=0, head=None) is None
    assert len(box.box) == 1
    box.box.settle(first)
    assert box.take_all() == [2]


def test_what_comes_back_to_a_slot_that_has_a_newer_one_is_superseded() -> None:
    box = Box()
    box.put(make_order(1, uuid=5))
    first = box.take()
    box.put(make_order(2, uuid=5))
    box.box.put_back(first)
    assert box.dropped == [(1, DropReason.SUPERSEDED)]
    assert box.take_all() == [2]


def test_a_cancellation_stays_until_what_fills_its_slot_is_sent() -> None:
    """The order that was cancelled may be there already, and the one after it may expire."""
    box = Box()
    box.put(cancellation(1, uuid=5))
    box.put(make_order(2, uuid=5, target_block=60))
    box.box.sweep(now_s=0, head=60)
    assert box.dropped == [(2, DropReason.EXPIRED)]
    assert box.take_all() == [1]


def test_a_cancellation_that_comes_back_stays_and_goes_before_its_successor() -> None:
    box = Box()
    box.put(cancellation(1, uuid=5))
    sent = box.take()
    box.put(make_order(2, uuid=5))
    box.put(make_order(3, uuid=5))  # takes the place of the second alone
    box.box.put_back(sent, not_before_s=5.0)
    assert box.dropped == [(2, DropReason.SUPERSEDED)]
    assert box.box.take(now_s=4, head=None) is None
    again = box.take(now_s=5)
    assert number(again.parcel) == 1
    assert box.box.take(now_s=5, head=None) is None
    box.box.settle(again)
    assert box.take_all() == [3]


def test_a_newer_cancellation_takes_the_place_of_everything_that_waits() -> None:
    box = Box()
    box.put(cancellation(1, uuid=5))
    box.put(make_order(2, uuid=5))
    box.put(cancellation(3, uuid=5))
    assert box.dropped == [(1, DropReason.SUPERSEDED), (2, DropReason.SUPERSEDED)]
    assert box.take_all() == [3]


@pytest.mark.parametrize("kind", [OrderKind.BUNDLE, OrderKind.CANCELLATION])
def test_what_is_being_sent_keeps_its_room(kind: OrderKind) -> None:
    box = Box()
    for index in range(4):
        box.put(make_order(index, kind=kind))
    sent = [box.take(), box.take()]
    assert not box.box.has_room(make_order(4, kind=kind))
    for ticket in sent:
        box.box.put_back(ticket)
    assert box.dropped == []
    box.box.settle(box.take())
    assert box.box.has_room(make_order(4, kind=kind))


def test_room_of_what_is_being_sent_counts_in_bytes() -> None:
    box = Box()
    box.put(make_order(1, size=1500))
    box.box.settle(box.take())
    box.put(make_order(2, size=1500))
    box.take()
    assert not box.box.has_room(make_order(3, size=1500))
    assert box.box.size_bytes == 0


def test_a_lower_nonce_does_not_replace_a_higher_one() -> None:
    box = Box()
    newer = make_order(9, uuid=5)
    box.put(newer)
    box.put(make_order(3, uuid=5))
    assert box.dropped == [(3, DropReason.SUPERSEDED)]
    without = replace(cancellation(4, uuid=5), replacement=Replacement(_uuid(newer), None))
    box.put(without)
    assert box.take_all() == [4]


def _uuid(order: Order) -> UUID:
    assert order.replacement is not None
    return order.replacement.uuid


def test_a_delayed_order_waits_and_others_go_first() -> None:
    box = Box()
    box.put(make_order(1))
    box.put(make_order(2))
    box.box.put_back(box.take(), not_before_s=5.0)
    assert box.box.next_due_s == 5.0
    assert number(box.take(now_s=1).parcel) == 2
    assert box.box.take(now_s=4.9, head=None) is None
    ticket = box.take(now_s=5.0)
    assert (number(ticket.parcel), ticket.attempts) == (1, 1)


def test_clear_says_goodbye_to_everything() -> None:
    box = Box()
    box.put(make_order(1, uuid=1))
    box.put(cancellation(2))
    box.box.put_back(box.take(), not_before_s=9.0)
    box.box.clear()
    assert Counter(reason for _, reason in box.dropped) == {DropReason.GONE: 2}
    assert len(box.box) == 0


@pytest.mark.parametrize("lane", Lane)
def test_limits_are_stated_for_every_lane(lane: Lane) -> None:
    assert OUTBOX_LIMITS[lane].orders > 0
    assert OUTBOX_LIMITS[lane].size_bytes >= 16 << 20


_actions = st.lists(
    st.tuples(
        st.sampled_from(["put", "take", "settle", "back", "delay", "sweep"]),
        st.integers(0, 3),
        st.sampled_from(list(OrderPriority)),
        st.booleans(),
    ),
    max_size=60,
)


@given(_actions)
@settings(max_examples=150)
def test_every_order_is_taken_once_or_dropped_once(
    actions: list[tuple[str, int, str, bool]],
) -> None:
    box, flying, done, put, now = Box(), list[Ticket](), list[int](), 0, 0.0
    came = list[tuple[int, bool]]()
    for action, slot, priority, cancels in actions:
        now += 0.5
        if action == "put":
            kind = OrderKind.CANCELLATION if cancels else OrderKind.BUNDLE
            box.put(make_order(put, uuid=slot or None, kind=kind, priority=OrderPriority(priority)))
            came.append((slot, cancels))
            put += 1
        elif action == "take" and (ticket := box.box.take(now_s=now, head=None)) is not None:
            slots = [t.parcel.slot for t in flying if t.parcel.slot is not None]
            assert ticket.parcel.slot not in slots
            flying.append(ticket)
        elif action == "settle" and flying:
            ticket = flying.pop(0)
            box.box.settle(ticket)
            done.append(number(ticket.parcel))
        elif action in ("back", "delay") and flying:
            box.box.put_back(flying.pop(), not_before_s=now + slot if action == "delay" else None)
        elif action == "sweep":
            box.box.sweep(now_s=now, head=None)
        counted = len(box.box) + len(flying) + len(done) + len(box.dropped)
        assert counted == put
        assert all(len(lane) <= 4 for lane in box.box._lanes.values())
    for ticket in flying:
        box.box.settle(ticket)
        done.append(number(ticket.parcel))
    while (ticket := box.box.take(now_s=now + 10, head=None)) is not None:
        box.box.settle(ticket)
        done.append(number(ticket.parcel))
    everything = sorted(done + [index for index, _ in box.dropped])
    assert everything == list(range(put))
    for index, reason in box.dropped:
        if reason is DropReason.SUPERSEDED and came[index][1]:
            assert came[index] in came[index + 1 :]  # a newer cancellation of its slot
