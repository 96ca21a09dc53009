# SPDX-License-Identifier: MIT
"""Users who send bundles at a steady pace, and what became of each."""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from buildernet.ethereum.signature import SigningKey, sign_body
from tests.support.network import Network
from tests.support.orderflow_receiver import bundle, request_body
from tests.support.program import DEADLINE_S, client_context

RATE: Final = 150
"""Orders per second: about a third of what the machine of the tests can do for a whole network."""

SIGNERS: Final = 200
USERS: Final = 16
"""Connections."""

_TRANSACTIONS: Final = 16
"""Signing one takes longer than all else about an order; orders differ by signer and number."""


@cache
def _bundles() -> tuple[dict[str, object], ...]:
    return tuple(bundle(number) for number in range(_TRANSACTIONS))


def numbered_body(number: int) -> bytes:
    """A bundle that carries a number; no other order is like it."""
    member = _bundles()[number % _TRANSACTIONS]
    return request_body("eth_sendBundle", {**member, "minTimestamp": number}, request_id=number)


def signer(number: int) -> SigningKey:
    """Who sends an order."""
    return SigningKey((1 + number % SIGNERS).to_bytes(32))


@dataclass
class Load:
    """What was sent to the first node, and what was said about it."""

    network: Network
    first: int
    session: ClientSession
    accepted_before: int
    """What the first node had counted as accepted from users."""
    dropped_before: int = 0
    """And as dropped on their way to others."""
    acknowledged: set[int] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    """By status and text."""
    unanswered: set[int] = field(default_factory=set)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def sent(self) -> int:
        """Orders that got an answer, or none."""
        return len(self.acknowledged) + self.refused.total() + len(self.unanswered)

    async def send(self, number: int, *, to: int = 0) -> None:
        """Send one order and write down the answer."""
        body = numbered_body(number)
        headers = {
            "Content-Type": "application/json",
            "X-Flashbots-Signature": sign_body(signer(number), body),
        }
        url = self.network.nodes[to].user_url
        try:
            async with self.session.post(url, data=io.BytesIO(body), headers=headers) as answer:
                document = await answer.json()
        except (ClientError, TimeoutError, OSError):
            self.unanswered.add(number)
            return
        if answer.status == 200 and "result" in document:
            self.acknowledged.add(number)
        else:
            self.refused[f"{answer.status} {document['error']['message']}"] += 1

    async def more(self, count: int = 60) -> None:
        """Wait until so many more orders were dealt with."""
        goal = self.sent + count
        await until(lambda: self.sent >= goal, f"{count} more orders")

    async def run(self) -> None:
        """Send until told to stop; late orders are not made up for."""
        loop = asyncio.get_running_loop()
        free = asyncio.Semaphore(USERS)
        async with asyncio.TaskGroup() as group:
            due = loop.time()
            while not self.stopping.is_set():
                await free.acquire()
                task = group.create_task(self.send(self.network.next_number))
                task.add_done_callback(lambda _: free.release())
                self.network.next_number += 1
                due = max(due + 1 / RATE, loop.time())
                await asyncio.sleep(due - loop.time())


@asynccontextmanager
async def under_load(network: Network) -> AsyncIterator[Load]:
    """Send all the while; leaving waits for the answers that are under way."""
    connector = TCPConnector(ssl=client_context(), limit=USERS)
    async with ClientSession(connector=connector, timeout=ClientTimeout(20)) as session:
        before = count_accepted(network), count_dropped(network)
        load = Load(network, network.next_number, session, *before)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(load.run())
            try:
                await load.more()
                yield load
            except BaseException:
                running.cancel()
                raise
            load.stopping.set()


def count_accepted(network: Network) -> int:
    """What the first node has counted as accepted from users since it started."""
    return network.nodes[0].count("orders_total", outcome="accepted", source="user")


def count_dropped(network: Network) -> int:
    """What the first node has dropped since it started, for whatever reason."""
    return network.nodes[0].count("delivery_dropped_total")


async def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until something is so; the condition may ask over the network."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while not await asyncio.to_thread(condition):
        assert loop.time() < end, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.02)
