# SPDX-License-Identifier: MIT
"""A network of processes under load, among hostile input to every listener, and a hub that lies."""

import asyncio
import io
import ssl
from collections import Counter
from contextlib import suppress
from itertools import cycle

import pytest
from aiohttp import ClientError

from buildernet.ethereum.signature import SigningKey, sign_body
from tests.support.network import Network
from tests.support.network_node import NetworkNode
from tests.support.orderflow_accounts import (
    require_at_builder,
    require_everything,
    require_in_archive,
)
from tests.support.orderflow_load import Load, numbered_body, under_load, until
from tests.support.orderflow_nodes import Node, make_certificate, running
from tests.support.orderflow_receiver import request_body
from tests.support.program import client_context

pytestmark = pytest.mark.interop

MAX_GROWTH_BYTES = 96 << 20
"""Of a node's memory: four bodies of the largest size at once, and buffers that are kept."""

ATTACKERS = 4
ROUNDS = 3
"""So often each of them sends each of its inputs."""

STRANGER = SigningKey(b"\x5a" * 32)

LARGEST = 10 << 20
"""A body's limit."""

BODIES = {
    "nothing": b"",
    "no JSON": bytes(range(256)) * 16,
    "half of one": numbered_body(0)[:-200],
    "deep": b"[" * 100_000,
    "huge number": request_body("eth_sendBundle", {"txs": [], "blockNumber": 10**400}),
    "no method": request_body("eth_nonsense", {}),
    "many transactions": request_body("eth_sendBundle", {"txs": ["0x02"] * 5000}),
    "large": b'{"method":"' + b"a" * LARGEST + b'"}',
    "large signed": request_body("eth_sendBundle", {"txs": ["0x" + "00" * (LARGEST // 2)]}),
}

_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"

BROKEN = {
    "no HTTP": b"\x16\x03\x01" * 500,
    "endless header": _HEAD + b"X: " + b"a" * 200_000,
    "two lengths": _HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "broken chunk": _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "half a body": _HEAD + b"Content-Length: 100000\r\n\r\nabc",
}
"""What no HTTP client sends; the connection is then cut."""


async def test_malformed_and_oversized_input_costs_no_order(whole: Network) -> None:
    first, second = whole.nodes
    memory = {node.name: node.proxy.rss() for node in whole.nodes}
    before = count_refused(whole)
    statuses: Counter[int] = Counter()
    async with under_load(whole) as load, asyncio.TaskGroup() as group:
        urls = [first.user_url]
        urls += [f"{node.system_url}{path}" for node in whole.nodes for path in PATHS]
        urls += [f"{whole.archive.url}{path}" for path in ("/", "/api/v1/records")]
        for attacker in range(ATTACKERS):
            group.create_task(attack(load, urls[attacker:] + urls[:attacker], statuses))
        for port in (first.ports["user"], second.ports["system"]):
            group.create_task(break_protocol(port))
    await require_everything(load)
    assert statuses.keys() <= {400, 401, 403, 404, 413}, statuses
    assert statuses.total() > ATTACKERS * ROUNDS * len(BODIES) // 2, statuses
    # Of each request a node read it counted why it was refused; the archive's are not among them.
    assert count_refused(whole) > before
    for node in whole.nodes:
        assert node.readiness() == 200
        assert node.proxy.rss() - memory[node.name] < MAX_GROWTH_BYTES


PATHS = ("", "orderflow/share")


async def attack(load: Load, urls: list[str], statuses: Counter[int]) -> None:
    """Send every body once a round, each time to another listener, and keep the statuses."""
    where = cycle(urls)
    for _ in range(ROUNDS):
        for name, body in BODIES.items():
            headers = {"Content-Type": "application/json"}
            if name not in ("nothing", "no JSON"):
                headers["X-Flashbots-Signature"] = sign_body(STRANGER, body)
            # A listener that refuses before it has read everything may cut the connection.
            with suppress(ClientError, OSError):
                async with load.session.post(
                    next(where), data=io.BytesIO(body), headers=headers
                ) as answer:
                    await answer.read()
                    statuses[answer.status] += 1


async def break_protocol(port: int) -> None:
    """Send each of the inputs over a connection of its own and leave without goodbye."""
    for _ in range(ROUNDS):
        for data in BROKEN.values():
            with suppress(OSError, ssl.SSLError):
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
                try:
                    writer.write(data)
                    await writer.drain()
                finally:
                    writer.transport.abort()


def count_refused(whole: Network) -> int:
    """Requests that both nodes refused before they looked at any order."""
    return sum(node.count("requests_refused_total") for node in whole.nodes)


MOVE = "UPDATE builders SET dns_name = $2 WHERE name = $1"
REPLACE = "UPDATE evidence SET tls_cert = $2 WHERE builder_name = $1"


async def test_forged_peer_gets_no_order(whole: Network) -> None:
    """Whoever owns the hub names a certificate and a place of his own for a node."""
    first, second = whole.nodes
    thief, certificate = Node(), make_certificate()
    disbelieved = first.count("peer_entries_refused_total", reason="step_L")
    queued, dropped = (count_for(first, second.name, what) for what in ("accepted", "dropped"))
    async with running(thief, certificate=certificate), under_load(whole) as load:
        await whole.hub.forge(MOVE, second.name, f"127.0.0.1:{thief.port}")
        await load.more()
        assert first.count("peers") == 1  # its key is still attested, and the thief has not got it
        await whole.hub.forge(REPLACE, second.name, certificate.pem)
        await until(lambda: first.count("peers") == 0, "the node is not believed any more")
        await load.more()
        assert first.readiness() == 200
        await whole.hub.forge(MOVE, second.name, second.system_place)
        second.registration.kill()
        second.registration.launch()
        await until(whole.is_whole, "the node has proved itself again")
        await load.more()
    assert not load.refused
    assert not load.unanswered
    assert first.count("peer_entries_refused_total", reason="step_L") > disbelieved
    assert thief.requests == 0
    await require_at_builder(load, first)
    await require_in_archive(load)
    await until(lambda: first.count("delivery_waiting") == 0, "all is settled")
    await until(lambda: second.count("delivery_waiting") == 0, "there too")
    queued = count_for(first, second.name, "accepted") - queued
    dropped = count_for(first, second.name, "dropped") - dropped
    # Of what was dropped when the node was not believed any more, it may have had some.
    missing = len(load.acknowledged - set(second.taken()))
    assert 0 < missing <= len(load.acknowledged) - queued + dropped


def count_for(node: NetworkNode, peer: str, what: str) -> int:
    return node.count(f"delivery_{what}_total", peer=peer)
