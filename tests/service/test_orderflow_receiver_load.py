# SPDX-License-Identifier: MIT
"""A thousand users at once, among them careless and hostile ones: every order is accounted for."""

import asyncio
import resource
from collections import Counter

import psutil
import pytest
from aiohttp import ClientSession, TCPConnector

from buildernet.ethereum.signature import SigningKey
from tests.support.orderflow_receiver import bundle, receiving, request_body

pytestmark = pytest.mark.process

USERS = 1000
DESCRIPTORS = 4 * USERS
MAX_GROWTH_BYTES = 200 << 20
"""A thousand connections on both ends in one process, each with its buffers."""


@pytest.fixture
def _enough_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"needs {DESCRIPTORS} file descriptors, at most {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_enough_descriptors")
async def test_a_thousand_users_are_served_and_every_order_is_counted():
    bodies = [request_body("eth_sendBundle", bundle(number)) for number in range(8)]
    wrong = request_body("eth_sendBundle", {"txs": ["0x00"]})
    answers: Counter[int] = Counter()
    async with receiving() as receiver:
        before = psutil.Process().memory_info().rss
        await receiver.client.close()
        receiver.client = ClientSession(connector=TCPConnector(limit=USERS))

        async def user(number: int) -> None:
            key = SigningKey((number + 1).to_bytes(32))
            for body in (bodies[number % 8], bodies[number % 8], wrong):
                answers[(await receiver.post(body, key=key)).status] += 1
            unsigned = await receiver.post(body, key=None)
            answers[unsigned.status] += 1

        async with receiver.client, asyncio.TaskGroup() as group:
            for number in range(USERS):
                group.create_task(user(number))
            await asyncio.sleep(0)
        receiver.client = ClientSession()
        async with receiver.client:
            counted = {
                outcome: await receiver.metric(
                    'orderflow_proxy_orders_total{method="eth_sendBundle",'
                    f'outcome="{outcome}",source="user"}}'
                )
                for outcome in ("accepted", "duplicate", "invalid", "failed")
            }
        growth = psutil.Process().memory_info().rss - before
    assert answers == {200: 2 * USERS, 400: 2 * USERS}
    # The signer is part of the key: nobody's bundle is taken for somebody else's.
    assert counted == {"accepted": USERS, "duplicate": USERS, "invalid": USERS, "failed": 0}
    assert len(receiver.neighbours.orders) == len(receiver.neighbours.records) == USERS
    assert growth < MAX_GROWTH_BYTES
