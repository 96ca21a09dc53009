# SPDX-License-Identifier: MIT
"""What two orders mean together, over HTTP: the known defects of the programs before, by name."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from buildernet.orderflow_proxy.clock import ArrivalClock
from buildernet.orderflow_proxy.intake import Intake
from buildernet.orderflow_proxy.order import OrderKind, OrderPriority
from tests.support.orderflow_receiver import (
    FLASHBOTS,
    STRANGER,
    Receiver,
    bundle,
    raw_transaction,
    receiving,
)
from tests.support.orders import PEER, USER

UUID = "3c1a0b7e-0000-4000-8000-000000000001"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


def sent(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(order.params) for order in receiver.neighbours.orders]


async def test_wyhash_the_same_bundle_of_two_signers_is_two_orders(receiver):
    """FlowProxy leaves the signer out and uses a 64-bit hash: services.md 1.8."""
    for key in (USER, STRANGER):
        assert (await receiver.call("eth_sendBundle", bundle(), key=key)).status == 200
    first, second = receiver.neighbours.orders
    assert first.key != second.key
    assert first.hash == second.hash


async def test_one_hop_what_a_peer_sent_is_marked_as_its(receiver):
    param = bundle(version="v2", signingAddress=USER.address.hex())
    await receiver.call("eth_sendBundle", param, key=PEER, system=True)
    (order,) = receiver.neighbours.orders
    assert order.peer == "other_node"  # NodeDelivery sends users' orders alone to peers


async def test_issue_67_a_b_and_a_again_are_all_sent(receiver):
    for number in (1, 2, 1):
        answer = await receiver.call("eth_sendBundle", bundle(number, replacementUuid=UUID))
        assert answer.status == 200
    nonces = [one["replacementNonce"] for one in sent(receiver)]
    assert len(nonces) == 3
    assert nonces == sorted(set(nonces))


async def test_issue_67_a_b_and_a_again_under_the_senders_nonce(receiver):
    for number in (1, 2, 1):
        param = bundle(number, replacementUuid=UUID, replacementNonce=7)
        assert (await receiver.call("eth_sendBundle", param)).status == 200
    assert len(receiver.neighbours.orders) == 3


async def test_issue_90_a_stale_nonce_is_refused(receiver):
    for nonce, status in ((7, 200), (6, 400), (8, 200)):
        param = bundle(nonce, replacementUuid=UUID, replacementNonce=nonce)
        assert (await receiver.call("eth_sendBundle", param)).status == status
    stale = 'orderflow_proxy_orders_total{method="eth_sendBundle",outcome="stale",source="user"}'
    assert await receiver.metric(stale) == 1


async def test_cancellations_are_never_lost_nor_lower_than_high(receiver):
    for _ in range(2):
        await receiver.call("eth_cancelBundle", {"replacementUuid": UUID})
        await receiver.call("eth_sendBundle", {"txs": [], "replacementUuid": UUID})
    orders = receiver.neighbours.orders
    assert [order.kind for order in orders] == [OrderKind.CANCELLATION] * 4
    assert {order.priority for order in orders} == {OrderPriority.HIGH}


async def test_a_peers_cancellation_is_high_whatever_it_says(receiver):
    param = {"replacementUuid": UUID, "signingAddress": USER.address.hex()}
    headers = {"X-BuilderNet-Priority": "low"}
    await receiver.call("eth_cancelBundle", param, key=PEER, system=True, headers=headers)
    assert receiver.neighbours.orders[0].priority is OrderPriority.HIGH


async def test_a_bundle_for_the_next_block_counts_again_in_the_next_slot(receiver, monkeypatch):
    """With a minute of memory, who sends it for each block would be heard once in five."""
    moment = [0]
    monkeypatch.setattr(ArrivalClock, "now_us", lambda *_: moment[0])
    param = {"txs": [raw_transaction(1)]}
    sent = 0
    for phase_s in range(12):  # mainnet's slots begin at 11, other chains' elsewhere
        for block, early_s in enumerate((0, 2, -2, 0.5, -0.5)):  # blocks come early and late
            moment[0] = round((1_780_000_000 + 1000 * phase_s + 12 * block + early_s) * 1e6)
            moment[0] += phase_s * 1_000_000
            sent += 1
            for _ in range(2):
                assert (await receiver.call("eth_sendBundle", param)).status == 200
            assert len(receiver.neighbours.orders) == sent


async def test_a_subsidy_counts_once_a_block(receiver, monkeypatch):
    """A signed one has no time in it: whoever copies it may not repeat it at will."""
    moment = [1_780_000_000_000_000]
    monkeypatch.setattr(ArrivalClock, "now_us", lambda *_: moment[0])
    for later_s, orders in ((0, 1), (0.1, 1), (12, 2), (12, 3)):
        moment[0] += round(later_s * 1e6)
        await receiver.call("bid_subsidiseBlock", 5, key=FLASHBOTS, system=True)
        assert len(receiver.neighbours.orders) == orders


@pytest.mark.parametrize(("key", "system"), [(USER, False), (PEER, True)])
async def test_only_flashbots_subsidises(receiver, key, system):
    answer = await receiver.call("bid_subsidiseBlock", 5, key=key, system=system)
    assert answer.error[:2] == (400, -32602)
    assert "subsidy can only be called" in answer.error[2]


async def test_users_do_not_name_a_signer(receiver):
    answer = await receiver.call("eth_sendBundle", bundle(signingAddress=USER.address.hex()))
    assert answer.error[0] == 400
    assert "signing address field should not be set" in answer.error[2]


async def test_the_same_transaction_from_any_user_is_a_duplicate(receiver):
    raw = raw_transaction(3)
    for key, system in ((USER, False), (STRANGER, False), (PEER, True)):
        answer = await receiver.call("eth_sendRawTransaction", raw, key=key, system=system)
        assert answer.status == 200
    assert len(receiver.neighbours.orders) == 1


async def test_what_a_peer_sent_first_does_not_keep_a_users_order_from_the_others(receiver):
    """A peer's copy goes to the builder alone; the user's must reach peers and archive."""
    for key, system in ((PEER, True), (PEER, True), (USER, False), (USER, False), (PEER, True)):
        await receiver.call("eth_sendRawTransaction", raw_transaction(3), key=key, system=system)
    assert [o.peer for o in receiver.neighbours.orders] == ["other_node", "user-request"]
    own = {"replacementUuid": UUID, "replacementNonce": 7, "version": "v2"}
    theirs = {**own, "signingAddress": USER.address.hex()}
    for key, members in ((PEER, theirs), (PEER, theirs), (USER, own), (USER, own), (PEER, theirs)):
        system = key is PEER
        answer = await receiver.call("eth_sendBundle", bundle(1, **members), key=key, system=system)
        assert answer.status == 200
    assert [o.peer for o in receiver.neighbours.orders[2:]] == ["other_node", "user-request"]


async def test_a_cancellation_is_not_overtaken_by_the_large_bundle_it_cancels(receiver):
    """Large bodies are verified in a thread; the builder got the cancellation, then the bundle."""
    large = {
        "replacementUuid": UUID,
        "txs": [raw_transaction(n, data=bytes(4000)) for n in range(40)],
    }
    first = asyncio.create_task(receiver.call("eth_sendBundle", large))
    arrive, arrived = Intake.arrive, asyncio.Event()

    def note(self: Intake) -> int:
        arrived.set()
        return arrive(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Intake, "arrive", note)
        await arrived.wait()
        assert (await receiver.call("eth_cancelBundle", {"replacementUuid": UUID})).status == 200
    answer = await first
    kinds = [order.kind for order in receiver.neighbours.orders]
    assert (answer.status, kinds) in (
        (400, [OrderKind.CANCELLATION]),
        (200, [OrderKind.BUNDLE, OrderKind.CANCELLATION]),
    )


async def test_a_known_good_signer_rises(receiver):
    """A stranger's first order is low; the next are judged by what came before."""
    for number in range(2):
        await receiver.call("eth_sendBundle", bundle(number))
    priorities = [order.priority for order in receiver.neighbours.orders]
    assert priorities == [OrderPriority.LOW, OrderPriority.MEDIUM]


async def test_sorting_for_the_key_does_not_reach_what_is_sent(receiver):
    """Go's unique key sorts the forwarded hashes in place: services.md 1.6."""
    hashes = ["0x" + digit * 64 for digit in "3142"]
    await receiver.call("eth_sendBundle", bundle(revertingTxHashes=hashes))
    assert sent(receiver)[0]["revertingTxHashes"] == hashes


async def test_a_nested_bundle_without_metadata_is_answered(receiver):
    """Go's handler panics: services.md 1.6."""
    inner = {"version": "v0.1", "inclusion": {"block": "0x10"}, "body": [{"tx": raw_transaction()}]}
    outer = {"version": "v0.1", "inclusion": {"block": "0x10"}, "body": [{"bundle": inner}]}
    assert (await receiver.call("mev_sendBundle", outer)).status == 200
    for key, system in ((PEER, True),):
        answer = await receiver.call("mev_sendBundle", outer, key=key, system=system)
        assert answer.status in (200, 400)
