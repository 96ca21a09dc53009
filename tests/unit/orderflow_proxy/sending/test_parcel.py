# SPDX-License-Identifier: MIT
import pytest

from buildernet.ethereum.signature import SigningKey, verify_body
from buildernet.orderflow_proxy.order import OrderKind
from buildernet.orderflow_proxy.sending.backoff import compute_backoff
from buildernet.orderflow_proxy.sending.head import FORGET_S, ChainHead
from buildernet.orderflow_proxy.sending.parcel import (
    CANCELLATION_S,
    MISSED_S,
    UNKNOWN_BLOCK_S,
    pack,
)
from tests.support.orderflow_nodes import make_order

KEY = SigningKey(b"\x01" * 32)


def test_body_is_signed_once_with_this_nodes_key() -> None:
    parcel = pack(make_order(3), key=KEY, now_s=0, head=None)
    assert verify_body(parcel.signature, parcel.body) == KEY.address
    assert parcel.body == make_order(3).encode_request()


@pytest.mark.parametrize(
    ("kind", "target", "head", "last_block"),
    [
        (OrderKind.BUNDLE, 100, 98, 100),
        (OrderKind.BUNDLE, None, 98, 99),
        (OrderKind.TRANSACTION, None, 98, 103),
        (OrderKind.BUNDLE, None, None, None),
        (OrderKind.CANCELLATION, 99, 98, None),
    ],
)
def test_last_block(kind: OrderKind, target: int | None, head: int | None, last_block: int) -> None:
    order = make_order(1, kind=kind, target_block=target)
    assert pack(order, key=KEY, now_s=0, head=head).last_block == last_block


def test_time_decides_where_the_head_is_not_known() -> None:
    parcel = pack(make_order(1, target_block=100), key=KEY, now_s=5, head=None)
    assert not parcel.is_over(now_s=5 + UNKNOWN_BLOCK_S - 1, head=None)
    assert parcel.is_over(now_s=5 + UNKNOWN_BLOCK_S, head=None)
    assert not parcel.is_over(now_s=1e6, head=99)
    assert parcel.is_over(now_s=5, head=100)


def test_time_follows_the_block_when_the_head_gets_lost() -> None:
    parcel = pack(make_order(1, target_block=110), key=KEY, now_s=0, head=100)
    assert not parcel.is_over(now_s=119 + MISSED_S, head=None)
    assert parcel.is_over(now_s=120 + MISSED_S, head=None)


def test_an_order_that_comes_while_the_head_is_lost_is_not_over_before_its_block() -> None:
    """The client is back at 104 after a minute in which a slot was missed."""
    named = pack(make_order(1, target_block=110), key=KEY, now_s=0, head=None, last_head=100)
    assert not named.is_over(now_s=119 + MISSED_S, head=None)
    assert not named.is_over(now_s=60, head=104)
    assert named.is_over(now_s=60, head=110)
    order = make_order(1, target_block=None)
    unnamed = pack(order, key=KEY, now_s=0, head=None, last_head=100)
    assert not unnamed.is_over(now_s=10, head=104)
    assert unnamed.is_over(now_s=UNKNOWN_BLOCK_S, head=104)


def test_cancellation_outlives_the_block_it_names() -> None:
    order = make_order(1, kind=OrderKind.CANCELLATION, target_block=99)
    parcel = pack(order, key=KEY, now_s=0, head=98)
    assert not parcel.is_over(now_s=CANCELLATION_S - 1, head=150)
    assert parcel.is_over(now_s=CANCELLATION_S, head=98)


def test_a_silent_client_says_nothing_about_the_blocks_since() -> None:
    now = [0.0]
    head = ChainHead(clock=lambda: now[0])
    assert head.number() is None
    head.learn(100)
    now[0] = 11.9
    assert head.fresh() == head.number() == 100
    now[0] = 60.0
    assert head.fresh() is None
    assert head.number() == 100
    head.learn(99)  # another client, or a reorganisation
    assert head.fresh() == head.number() == 99
    now[0] += FORGET_S + 1
    assert head.number() is head.fresh() is None


def test_backoff_doubles_is_bounded_and_jittered() -> None:
    longest = [compute_backoff(n, random=lambda: 1.0) for n in (1, 2, 3, 10, 10_000)]
    assert longest == [0.05, 0.1, 0.2, 2.0, 2.0]
    assert compute_backoff(1, random=lambda: 0.0) == 0.025
    assert len({compute_backoff(5) for _ in range(10)}) > 1
