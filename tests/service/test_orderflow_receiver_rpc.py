# SPDX-License-Identifier: MIT
"""JSON-RPC on both sides: who is let in, what is answered, what reaches the builder."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from ethereum_types.numeric import U64

from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.signature import sign_body
from buildernet.orderflow_proxy.config import Builder, ReceiverConfig
from buildernet.orderflow_proxy.order import OrderKind, OrderPriority, OrderSource
from tests.support.orderflow_receiver import (
    FLASHBOTS,
    STRANGER,
    Neighbours,
    Receiver,
    bundle,
    limits,
    raw_transaction,
    receiving,
    request_body,
)
from tests.support.orders import PEER, SEPOLIA, USER

UUID = "3c1a0b7e-0000-4000-8000-000000000001"

CANCELLATIONS = [
    ("eth_sendBundle", {"txs": [], "replacementUuid": UUID}),
    ("eth_cancelBundle", {"replacementUuid": UUID, "padding": "x" * 1000}),
    ("eth_sendBundle", {"replacementUuid": UUID, "revertingTxHashes": ["0x" + "ab" * 32] * 100}),
    (
        "mev_sendBundle",
        {"version": "v0.1", "inclusion": {"block": "0x1"}, "body": [], "replacementUuid": UUID},
    ),
]
"""All that cancels, larger than what it needs too."""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_a_users_bundle_reaches_builder_and_archive(receiver):
    answer = await receiver.call("eth_sendBundle", bundle())
    assert answer.status == 200
    (order,) = receiver.neighbours.orders
    assert receiver.neighbours.records == [order]
    assert order.source is OrderSource.USER
    assert order.signer == USER.address
    sent = json.loads(order.params)
    assert sent["signingAddress"] == USER.address.hex()
    assert sent["version"] == "v2"
    transaction = bytes.fromhex(bundle()["txs"][0][2:])
    expected = compute_keccak256(compute_keccak256(transaction))
    assert answer.json == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"bundleHash": "0x" + expected.hex()},
    }


async def test_each_method_has_its_result(receiver):
    raw = raw_transaction(1)
    answer = await receiver.call("eth_sendRawTransaction", raw)
    assert answer.json["result"] == "0x" + compute_keccak256(bytes.fromhex(raw[2:])).hex()
    answer = await receiver.call("eth_cancelBundle", {"replacementUuid": UUID})
    assert answer.json["result"] is None
    mev = {
        "version": "v0.1",
        "inclusion": {"block": "0x10", "maxBlock": "0x11"},
        "body": [{"tx": raw_transaction(2), "canRevert": False}],
    }
    answer = await receiver.call("mev_sendBundle", mev)
    assert answer.json["result"]["bundleHash"].startswith("0x")
    answer = await receiver.call("bid_subsidiseBlock", 7, key=FLASHBOTS, system=True)
    assert answer.json["result"] is None
    kinds = [order.kind for order in receiver.neighbours.orders]
    assert kinds == [
        OrderKind.TRANSACTION, OrderKind.CANCELLATION, OrderKind.MEV_BUNDLE, OrderKind.SUBSIDY,
    ]  # fmt: skip


async def test_builders_net_header_comes_before_flashbots(receiver):
    body = request_body("eth_sendBundle", bundle())
    both = {"X-BuilderNet-Signature": sign_body(PEER, body)}
    assert (await receiver.post(body, headers=both)).status == 200
    assert receiver.neighbours.orders[0].signer == PEER.address
    wrong = {"X-BuilderNet-Signature": "0x"}
    assert (await receiver.post(body, headers=wrong)).status == 400


@pytest.mark.parametrize("key", [None, STRANGER])
async def test_a_signature_of_nobody_or_over_another_body_is_refused(receiver, key):
    body = request_body("eth_sendBundle", bundle())
    headers = {} if key is None else {"X-Flashbots-Signature": sign_body(key, body + b" ")}
    answer = await receiver.post(body, key=None, headers=headers)
    assert answer.error[:2] == (400, -32603)
    assert "Invalid signature" in answer.error[2]
    assert answer.json["id"] is None
    assert receiver.neighbours.orders == []


async def test_system_side_takes_peers_and_flashbots_alone(receiver):
    for key, source, peer in (
        (PEER, OrderSource.PEER, "other_node"),
        (FLASHBOTS, OrderSource.FLASHBOTS, "flashbots"),
    ):
        param = bundle(len(peer), version="v2", signingAddress=USER.address.hex())
        answer = await receiver.call("eth_sendBundle", param, key=key, system=True)
        assert answer.status == 200, answer.body
        order = receiver.neighbours.orders[-1]
        assert (order.source, order.peer) == (source, peer)
        assert order.signer == USER.address
    answer = await receiver.call("eth_sendBundle", bundle(), key=STRANGER, system=True)
    assert answer.error == (403, -32603, "unknown peers can't send to the system address")
    refused = 'requests_refused_total{reason="UnknownSenderError",side="system"}'
    assert await receiver.metric("orderflow_proxy_" + refused) == 1


@pytest.mark.parametrize("name", ["X-BuilderNet-Priority", "x-buildernet-priority"])
async def test_priority_header_counts_in_any_case(receiver, name):
    """FlowProxy's receiver loses it: services.md 1.2."""
    param = bundle(version="v2", signingAddress=USER.address.hex())
    await receiver.call("eth_sendBundle", param, key=PEER, system=True, headers={name: "HIGH"})
    assert receiver.neighbours.orders[0].priority is OrderPriority.HIGH
    headers = {"x-buildernet-sentatus": "1"}
    await receiver.call("eth_sendRawTransaction", raw_transaction(9), key=PEER, system=True,
                        headers=headers)  # fmt: skip
    assert receiver.neighbours.orders[1].priority is OrderPriority.MEDIUM


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, -32700)),
        (b"[]", (400, -32600)),
        (b'{"jsonrpc":"1.0","id":5,"method":"eth_sendBundle","params":[]}', (400, -32600)),
        (b'{"jsonrpc":"2.0","id":5,"method":"eth_call","params":[{}]}', (404, -32601)),
        (b'{"jsonrpc":"2.0","id":5,"method":"eth_sendBundle","params":[{},{}]}', (400, -32602)),
        (b'{"jsonrpc":"2.0","id":5,"method":"eth_sendBundle","params":[]}', (400, -32602)),
        (b'{"jsonrpc":"2.0","id":5,"method":"eth_sendBundle","params":[{"txs":[1]}]}',
         (400, -32602)),
        (b'{"jsonrpc":"2.0","id":5,"method":"eth_sendBundle","params":[{"txs":["0xc0"]}]}',
         (400, -32602)),
    ],
)  # fmt: skip
async def test_each_refusal_has_its_code(receiver, body, expected):
    answer = await receiver.post(body)
    assert answer.error[:2] == expected
    assert answer.headers["Content-Type"] == "application/json"
    assert receiver.neighbours.orders == []
    if b'"id":5' in body:
        assert answer.json["id"] == 5


async def test_a_batch_answers_each_order_by_itself(receiver):
    calls = [
        request_body("eth_sendBundle", bundle(1), request_id="a"),
        request_body("eth_sendBundle", {"txs": ["0x00"]}, request_id="b"),
        request_body("eth_call", {}, request_id=3),
        request_body("eth_sendRawTransaction", raw_transaction(4), request_id=None),
    ]
    answer = await receiver.post(b"[" + b",".join(calls) + b"]")
    assert answer.status == 200
    assert [(one["id"], "result" in one) for one in answer.json] == [
        ("a", True), ("b", False), (3, False), (None, True),
    ]  # fmt: skip
    assert len(receiver.neighbours.orders) == 2


@pytest.mark.parametrize(
    "body",
    [b"[]", b"[" + b",".join([request_body("eth_call", {})] * 101) + b"]",
     b"[" + b" " * (1 << 20) + b"{}]"],
    ids=["empty", "many", "large"],
)  # fmt: skip
async def test_a_batch_of_another_size_is_an_invalid_request(receiver, body):
    answer = await receiver.post(body)
    assert answer.error[:2] == (400, -32600)
    assert answer.error[2].startswith("Invalid Request: batch")


SEPOLIA_TRANSACTION = raw_transaction(1, chain_id=U64(SEPOLIA))


async def test_transactions_of_the_configured_chain_alone_are_taken():
    async with receiving() as mainnet:
        answer = await mainnet.call("eth_sendRawTransaction", SEPOLIA_TRANSACTION)
        assert answer.error[:2] == (400, -32602)
    config = ReceiverConfig(builder=Builder(chain_id=SEPOLIA))
    async with receiving(config) as sepolia:
        answer = await sepolia.call("eth_sendRawTransaction", SEPOLIA_TRANSACTION)
        assert answer.status == 200
        assert (await sepolia.call("eth_sendBundle", bundle())).error[:2] == (400, -32602)


async def test_an_order_for_a_block_that_passed_is_answered_with_success(receiver):
    """As both programs before do: only what is sent on knows the head, and that may be late."""
    assert (await receiver.call("eth_sendBundle", bundle(blockNumber="0x1"))).status == 200
    assert receiver.neighbours.orders[0].target_block == 1


async def test_a_duplicate_gets_the_same_answer_and_goes_no_further(receiver):
    first = await receiver.call("eth_sendBundle", bundle())
    again = await receiver.call("eth_sendBundle", bundle())
    assert again.json == first.json
    assert len(receiver.neighbours.orders) == len(receiver.neighbours.records) == 1
    duplicate = 'orders_total{method="eth_sendBundle",outcome="duplicate",source="user"}'
    assert await receiver.metric("orderflow_proxy_" + duplicate) == 1


async def test_a_full_archive_is_said_before_anything_is_taken():
    near = Neighbours(no_room=True)
    async with receiving(neighbours=near) as receiver:
        answer = await receiver.call("eth_sendBundle", bundle())
        assert answer.error == (503, -32603, "Disk full")
        assert answer.headers["Retry-After"] == "1"
        ready = await receiver.get("/readyz")
        assert (ready.status, ready.json["reason"]) == (503, "Disk full")
        for cancels in CANCELLATIONS:
            assert (await receiver.call(*cancels)).status == 200
        system = bundle(version="v2", signingAddress=USER.address.hex())
        assert (await receiver.call("eth_sendBundle", system, key=PEER, system=True)).status == 200
        near.no_room = False
        assert (await receiver.call("eth_sendBundle", bundle(2))).status == 200


async def test_dedup_is_recorded_only_after_acceptance():
    """Go's proxy swallows a refused order that is sent again: services.md 1.6."""
    near = Neighbours(full=True)
    async with receiving(neighbours=near) as receiver:
        assert (await receiver.call("eth_sendBundle", bundle())).error[0] == 503
        near.full = False
        assert (await receiver.call("eth_sendBundle", bundle())).status == 200
        assert len(near.orders) == 1


@pytest.mark.parametrize("cancels", CANCELLATIONS)
async def test_a_flood_of_the_same_signer_refuses_no_cancellation(cancels):
    async with receiving(limits(orders_per_second=1)) as receiver:
        assert (await receiver.call("eth_sendBundle", bundle())).status == 200
        assert (await receiver.call("eth_sendBundle", bundle(1))).status == 429
        assert (await receiver.call(*cancels)).status == 200
        assert receiver.neighbours.orders[-1].kind is OrderKind.CANCELLATION


async def test_orders_with_wrong_parameters_are_counted_and_limited():
    """They were in no counter, and cost their signer nothing."""
    async with receiving(limits(orders_per_second=3)) as receiver:
        call = b'{"jsonrpc":"2.0","id":5,"method":"%b","params":%b}'
        for params in (b"[]", b"[1,2]", b"{}"):
            answer = await receiver.post(call % (b"eth_sendBundle", params))
            assert answer.error[:2] == (400, -32602)
        assert (await receiver.post(call % (b"eth_sendBundle", b"[]"))).error[0] == 429
        invalid = 'orders_total{method="eth_sendBundle",outcome="invalid",source="user"}'
        assert await receiver.metric("orderflow_proxy_" + invalid) == 3
    async with receiving() as receiver:
        for params in (b"[]", b"[1,2]", b"null"):
            assert (await receiver.post(call % (b"eth_call", params))).error[:2] == (404, -32601)


async def test_a_rate_limited_order_may_be_sent_again_and_cancellations_pass():
    async with receiving(limits(orders_per_second=2)) as receiver:
        for number in range(2):
            assert (await receiver.call("eth_sendBundle", bundle(number))).status == 200
        answer = await receiver.call("eth_sendBundle", bundle(5))
        assert answer.error[:2] == (429, -32603)
        assert answer.headers["Retry-After"] == "1"
        cancel = await receiver.call("eth_cancelBundle", {"replacementUuid": UUID})
        assert cancel.status == 200
        for cancels in CANCELLATIONS[:1]:
            assert (await receiver.call(*cancels)).status == 200
        other = await receiver.call("eth_sendBundle", bundle(6), key=STRANGER)
        assert other.status == 200
        async with asyncio.timeout(5):
            while (await receiver.call("eth_sendBundle", bundle(5))).status == 429:
                pass
        assert len(receiver.neighbours.orders) == 6


async def test_readiness_follows_the_builder():
    near = Neighbours(not_ready="builder does not take orders")
    async with receiving(neighbours=near) as receiver:
        assert (await receiver.get("/readyz")).json["reason"] == "builder does not take orders"
        assert (await receiver.get("/livez")).status == 200
        near.not_ready = ""
        assert (await receiver.get("/readyz")).status == 200
        assert (await receiver.get("/readyz", system=True)).status == 200


async def test_users_cannot_read_metrics_or_share(receiver):
    assert (await receiver.get("/metrics")).status == 404
    assert (await receiver.post(b"{}", path="/orderflow/share")).status == 404
    assert (await receiver.get("/")).status == 405
