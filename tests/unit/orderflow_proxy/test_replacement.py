# SPDX-License-Identifier: MIT
"""Slots: A, B and A again, nonces out of date, cancellations."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.order import Order, OrderKind, Replacement
from buildernet.orderflow_proxy.replacement import Slots, StaleNonceError
from tests.support.orderflow_nodes import make_order

SLOT = UUID(int=7)


def order(content: str, nonce: int | None, *, kind: OrderKind = OrderKind.BUNDLE) -> Order:
    return replace(
        make_order(),
        kind=kind,
        key=content.encode().ljust(16),
        replacement=Replacement(SLOT, nonce),
        signer=Address(b"\1" * 20),
    )


def take(slots: Slots, one: Order) -> bool:
    """Whether it goes on."""
    if slots.is_duplicate(one):
        return False
    slots.put(one)
    return True


def test_a_b_and_a_again_are_three_orders():
    """FlowProxy issue 67: the second A was lost."""
    slots = Slots()
    assert [take(slots, order(*each)) for each in (("A", 1), ("B", 2), ("A", 3))] == [True] * 3


def test_a_b_and_a_again_under_one_nonce_are_three_orders():
    slots = Slots()
    assert [take(slots, order(content, 5)) for content in "ABA"] == [True] * 3


def test_the_same_order_twice_is_a_duplicate():
    slots = Slots()
    assert [take(slots, order("A", 5)) for _ in range(3)] == [True, False, False]


def test_a_nonce_out_of_date_is_refused():
    """FlowProxy issue 90: an order that was overtaken on its way must not win."""
    slots = Slots()
    take(slots, order("B", 2))
    with pytest.raises(StaleNonceError, match="1 is older than 2"):
        take(slots, order("A", 1))


@pytest.mark.parametrize("nonce", [None, 1, 2, 3])
def test_a_cancellation_is_taken_whatever_its_nonce_and_makes_nothing_older_valid(nonce):
    """An empty bundle with a lower nonce was refused, although cancellations never are."""
    slots = Slots()
    take(slots, order("B", 2))
    assert take(slots, order("", nonce, kind=OrderKind.CANCELLATION))
    with pytest.raises(StaleNonceError, match="is older"):
        take(slots, order("A", 1))


def test_what_arrived_before_its_cancellation_is_not_taken_after_it():
    """Verifying a large bundle takes longer than its cancellation on another connection."""
    slots = Slots()
    early, late = (replace(order("A", 1), received_at_us=us) for us in (100, 102))
    cancels = order("", None, kind=OrderKind.CANCELLATION)
    assert take(slots, replace(cancels, received_at_us=101))
    with pytest.raises(StaleNonceError, match="cancelled"):
        take(slots, early)
    assert take(slots, late)


def test_cancellations_are_never_duplicates():
    slots = Slots()
    for nonce in (None, None, 5, 5):
        assert take(slots, order("", nonce, kind=OrderKind.CANCELLATION))


def test_what_a_cancellation_emptied_may_come_back_but_nothing_older():
    slots = Slots()
    take(slots, order("A", 5))
    assert take(slots, order("", None, kind=OrderKind.CANCELLATION))
    with pytest.raises(StaleNonceError):
        take(slots, order("A", 4))
    assert take(slots, order("A", 5))
    assert not take(slots, order("A", 5))


def test_a_slot_belongs_to_its_signer():
    slots = Slots()
    take(slots, order("A", 9))
    assert take(slots, replace(order("A", 1), signer=Address(b"\2" * 20)))


def test_slots_are_bounded():
    slots = Slots(capacity=10)
    for number in range(100):
        take(slots, replace(order("A", 1), replacement=Replacement(UUID(int=number), 1)))
    assert len(slots) == 10


def test_an_order_without_a_slot_is_a_mistake_of_ours():
    slots = Slots()
    for method in (slots.is_duplicate, slots.put):
        with pytest.raises(ValueError, match="slot"):
            method(replace(order("A", 1), replacement=None))
