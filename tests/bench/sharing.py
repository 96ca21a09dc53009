# SPDX-License-Identifier: MIT
"""Processor time a node spends on a peer's order: many under one signature, or one request each.

HTTP is left out on both sides, so the real gain is larger: a shared order saves a request of its
own, too.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from buildernet.ethereum.signature import sign_body
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.app import Dependencies, build_app
from buildernet.orderflow_proxy.config import ReceiverConfig
from buildernet.orderflow_proxy.handlers import SIDE
from tests.bench.figures import Figure, ratio
from tests.support.orderflow_receiver import Neighbours, bundle, request_body
from tests.support.orders import PEER, USER

BATCHES: Final = 20
ORDERS: Final = 64


def make_params(start: int) -> list[dict[str, Any]]:
    """Distinct bundles over a few transactions, as a searcher sends them for block after block."""
    signer = USER.address.hex()
    return [
        bundle(at % 8, blockNumber=hex(20_000_000 + at), version="v2", signingAddress=signer)
        for at in range(start, start + ORDERS)
    ]


def measure_sharing() -> Iterator[Figure]:
    """Processor time of an order in each way, and the ratio."""
    shared, alone = asyncio.run(_measure())
    figures = [
        Figure(f"order of a peer: {ORDERS} under one signature", shared, "us", note="processor"),
        Figure("order of a peer: one request each", alone, "us", note="processor"),
    ]
    yield from figures
    yield ratio("processor time of an order, shared / alone", *figures, aim=1.0)


async def _measure() -> tuple[float, float]:
    """Take the same orders both ways, each in a receiver of its own."""
    spent = {"shared": 0, "alone": 0}
    sides = {}
    for way in spent:
        near = Neighbours()
        system = build_app(ReceiverConfig(), Dependencies(near, near, near)).system
        sides[way] = system[SIDE]
    sharing = sides["shared"].sharing
    assert sharing is not None
    for batch in range(BATCHES):
        params = make_params(batch * ORDERS)
        entries = [
            json.dumps(
                {"method": "eth_sendBundle", "params": each, "timestamp": int(time.time()),
                 "source": "peer", "priority": "medium"}
            ).encode()
            for each in params
        ]  # fmt: skip
        body = share.encode_request(entries, key=PEER, target_block=0, timestamp=int(time.time()))
        started = time.process_time_ns()
        await sharing.receive(body)
        spent["shared"] += time.process_time_ns() - started
        bodies = [request_body("eth_sendBundle", each) for each in params]
        signed = [(each, {"X-BuilderNet-Signature": sign_body(PEER, each)}) for each in bodies]
        started = time.process_time_ns()
        for each, headers in signed:
            await sides["alone"].rpc.answer(each, headers)
        spent["alone"] += time.process_time_ns() - started
    orders = BATCHES * ORDERS
    return spent["shared"] / 1000 / orders, spent["alone"] / 1000 / orders
