# SPDX-License-Identifier: MIT
"""POST /orderflow/share: every rule of the draft and of its TODOs, on real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.ethereum.transaction import decode_transaction
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.order import OrderKind, OrderPriority, OrderSource
from tests.support.orderflow_receiver import (
    FLASHBOTS,
    STRANGER,
    Answer,
    Neighbours,
    Receiver,
    bundle,
    raw_transaction,
    receiving,
)
from tests.support.orders import PEER, USER

RULES = ("source_node", "orderflow", "target_block", "timestamp", "signature")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


def now() -> int:
    return int(time.time())


def order_entry(number: int = 0, **members: Any) -> dict[str, Any]:
    """What one of our nodes sends."""
    param = bundle(number, version="v2", signingAddress=USER.address.hex())
    return {
        "method": "eth_sendBundle", "params": param, "timestamp": now(), "source": "peer",
        "priority": "high", **members,
    }  # fmt: skip


def draft_entry(number: int = 0, **members: Any) -> dict[str, Any]:
    """What the draft shows, with the signed bytes."""
    raw = raw_transaction(number)
    signed = decode_transaction(bytes.fromhex(raw[2:]))
    return {
        "tx_hash": "0x" + signed.hash.hex(),
        "gas_price": hex(signed.max_fee_per_gas),
        "gas_limit": hex(signed.gas),
        "sender": str(signed.sender),
        "recipient": str(signed.to),
        "value": hex(signed.value),
        "data": "0x" + signed.data.hex(),
        "timestamp": now(),
        "source": "peer",
        "raw": raw,
        **members,
    }


def encode(*entries: dict[str, Any], key: SigningKey = PEER, **members: Any) -> bytes:
    body = {
        "source_node": share.encode_node_id(key.address),
        "orderflow": list(entries),
        "target_block": "0x1312d00",
        "timestamp": now(),
        **members,
        "signature": "",
    }
    unsigned = json.dumps(body).encode()
    signature = sign_body(key, unsigned).partition(":")[2]
    return unsigned.replace(b'"signature": ""', b'"signature": "%b"' % signature.encode())


async def send(receiver: Receiver, body: bytes) -> Answer:
    return await receiver.post(body, key=None, path=share.PATH, system=True)


async def refuse(receiver: Receiver, body: bytes, status: int, text: str) -> None:
    answer = await send(receiver, body)
    assert answer.status == status, answer.body
    assert answer.json["success"] is False
    assert text in answer.json["error"]
    assert abs(answer.json["timestamp"] - now()) <= 2
    assert receiver.neighbours.orders == []


async def test_a_batch_of_orders_is_taken(receiver):
    body = encode(*(order_entry(number) for number in range(20)))
    answer = await send(receiver, body)
    assert answer.status == 200
    assert {"success": True, "error": None}.items() <= answer.json.items()
    assert list(answer.json) == ["success", "error", "timestamp"]
    orders = receiver.neighbours.orders
    assert len(orders) == 20
    assert {order.signer for order in orders} == {USER.address}
    assert {(o.source, o.peer, o.priority) for o in orders} == {
        (OrderSource.PEER, "other_node", OrderPriority.HIGH)
    }


async def test_what_our_encoder_writes_is_taken(receiver):
    await receiver.call("eth_sendBundle", bundle())
    (order,) = receiver.neighbours.orders
    body = share.encode_request(
        [share.encode_entry(order, now_s=now())], key=PEER, target_block=0x1312D00, timestamp=now()
    )
    async with receiving() as other:
        assert (await send(other, body)).json["success"]
        (received,) = other.neighbours.orders
    assert (received.params, received.key, received.hash, received.signer) == (
        order.params, order.key, order.hash, order.signer,
    )  # fmt: skip


async def test_transactions_as_the_draft_shows_them_are_taken(receiver):
    alone, *grouped = draft_entry(1), *(draft_entry(n, bundle_id="0xaa") for n in (2, 3))
    in_data = draft_entry(4)
    in_data["data"] = in_data.pop("raw")
    answer = await send(receiver, encode(alone, *grouped, in_data))
    assert answer.json["success"], answer.body
    assert "refused" not in answer.json
    kinds = [order.kind for order in receiver.neighbours.orders]
    assert kinds == [OrderKind.TRANSACTION, OrderKind.TRANSACTION, OrderKind.BUNDLE]
    together = receiver.neighbours.orders[2]
    assert together.target_block == 0x1312D00
    assert json.loads(together.params)["txs"] == [entry["raw"] for entry in grouped]


@pytest.mark.parametrize(
    ("member", "value", "text"),
    [
        ("gas_price", "0x0", "must not be 0"),
        ("gas_limit", "0x0", "must not be 0"),
        ("gas_price", "1", "gas_price"),
        ("source", "user", "source"),
        ("source", "searcher", "source"),
        ("timestamp", 2**40, "future"),
        ("timestamp", -1, "future"),
        ("tx_hash", "0x" + "1" * 64, "tx_hash is not what was signed"),
        ("sender", "0x" + "1" * 40, "sender is not what was signed"),
        ("recipient", None, "recipient is not what was signed"),
        ("value", "0x7", "value is not what was signed"),
        ("data", "0x00", "data is not what was signed"),
        ("gas_limit", "0x7", "gas_limit is not what was signed"),
        ("raw", "0x02", "neither raw nor data"),
        ("raw", "", "neither raw nor data"),
    ],
)
async def test_a_wrong_entry_refuses_the_request(receiver, member, value, text):
    await refuse(receiver, encode(draft_entry(1), draft_entry(2, **{member: value})), 400, text)


@pytest.mark.parametrize("late_s", [-1000, -301 - 1, 5, 10**6])
async def test_old_and_future_requests_are_refused(receiver, late_s):
    text = "future" if late_s > 0 else "old"
    await refuse(receiver, encode(order_entry(), timestamp=now() + late_s), 400, text)


async def test_an_empty_request_is_refused(receiver):
    await refuse(receiver, encode(), 400, "0 entries")


@pytest.mark.parametrize("member", RULES)
async def test_every_member_must_be_there(receiver, member):
    body = json.loads(encode(order_entry()))
    del body[member]
    await refuse(receiver, json.dumps(body).encode(), 400, member)


async def test_a_node_that_the_hub_does_not_list_is_refused(receiver):
    await refuse(receiver, encode(order_entry(), key=STRANGER), 403, "hub")


async def test_another_nodes_name_is_refused(receiver):
    named = share.encode_node_id(PEER.address)
    await refuse(receiver, encode(order_entry(), key=STRANGER, source_node=named), 401, "signature")


async def test_a_changed_body_is_refused(receiver):
    body = encode(order_entry())
    await refuse(receiver, body.replace(b'"high"', b'"low"'), 401, "signature")


async def test_more_than_a_mebibyte_is_refused(receiver):
    body = encode(order_entry(), padding="x" * share.MAX_REQUEST_BYTES)
    await refuse(receiver, body, 413, "too big")


async def test_a_repeated_request_is_answered_and_not_taken_again(receiver):
    body = encode(order_entry(params={"replacementUuid": "3c1a0b7e-0000-4000-8000-000000000001"},
                              method="eth_cancelBundle"))  # fmt: skip
    for _ in range(3):
        assert (await send(receiver, body)).json["success"] is True
    assert len(receiver.neighbours.orders) == 1
    assert await receiver.metric("orderflow_proxy_share_repeated_total") == 2


async def test_ten_copies_at_once_are_taken_once(receiver):
    """The nonce was remembered after the work, so that ten copies gave ten cancellations."""
    cancel = {"replacementUuid": "3c1a0b7e-0000-4000-8000-000000000001"}
    entries = [order_entry(n) for n in range(20)]
    body = encode(*entries, order_entry(method="eth_cancelBundle", params=cancel))
    statuses = [a.status for a in await asyncio.gather(*(send(receiver, body) for _ in range(10)))]
    assert set(statuses) <= {200, 503}
    assert len(receiver.neighbours.orders) == 21


async def test_a_repetition_takes_what_was_refused_and_nothing_else():
    """It was answered with success, and what the builder had no room for was lost."""
    near = Neighbours()
    async with receiving(neighbours=near) as receiver:
        cancel = {"replacementUuid": "3c1a0b7e-0000-4000-8000-000000000001"}
        cancels = order_entry(method="eth_cancelBundle", params=cancel)
        body = encode(cancels, order_entry(1), order_entry(2))
        near.room = 1
        for _ in range(2):
            answer = await send(receiver, body)
            assert (answer.status, [r["index"] for r in answer.json["refused"]]) == (200, [1, 2])
        near.room = 2
        assert [r["index"] for r in (await send(receiver, body)).json["refused"]] == [2]
        near.room = None
        for _ in range(2):
            assert "refused" not in (await send(receiver, body)).json
        assert len(near.orders) == 3


async def test_a_defect_of_ours_refuses_one_order(receiver, monkeypatch):
    """It cost the whole request its answer."""
    submit = Neighbours.submit

    def fail_once(self: Neighbours, order: Any) -> None:
        if len(self.orders) == 1:
            monkeypatch.undo()
            raise RuntimeError("defect")
        submit(self, order)

    monkeypatch.setattr(Neighbours, "submit", fail_once)
    answer = await send(receiver, encode(*(order_entry(number) for number in range(3))))
    assert [(r["index"], r["error"]) for r in answer.json["refused"]] == [(1, "Internal error")]
    assert len(receiver.neighbours.orders) == 2


async def test_subsidies_are_not_shared(receiver):
    body = encode(order_entry(method="bid_subsidiseBlock", params=5), key=FLASHBOTS)
    answer = await send(receiver, body)
    assert "Method not found: bid_subsidiseBlock" in answer.json["refused"][0]["error"]
    assert receiver.neighbours.orders == []


async def test_one_bad_order_does_not_spoil_the_others(receiver):
    """The whole peer list fails by one entry in FlowProxy (services.md 1.9); orders must not."""
    bad = order_entry(1, params={"txs": ["0x00"], "version": "v2"})
    unknown = order_entry(2, method="eth_call")
    answer = await send(receiver, encode(order_entry(3), bad, unknown, order_entry(4)))
    assert answer.status == 200
    assert [one["index"] for one in answer.json["refused"]] == [1, 2]
    assert len(receiver.neighbours.orders) == 2


async def test_a_full_builder_refuses_a_request_that_may_be_sent_again():
    near = Neighbours(full=True)
    async with receiving(neighbours=near) as receiver:
        body = encode(order_entry())
        await refuse(receiver, body, 503, "nothing was taken")
        near.full = False
        assert (await send(receiver, body)).status == 200
        assert len(near.orders) == 1


async def test_flashbots_may_share(receiver):
    answer = await send(receiver, encode(order_entry(source="flashbots"), key=FLASHBOTS))
    assert answer.json["success"]
    assert receiver.neighbours.orders[0].source is OrderSource.FLASHBOTS


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 200_000])
async def test_what_is_no_request_is_refused(receiver, body):
    await refuse(receiver, body, 400, "shape")
