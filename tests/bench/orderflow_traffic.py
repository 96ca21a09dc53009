# SPDX-License-Identifier: MIT
"""Bundles through the receiver, ours and the Go one, each in the same topology.

Rates are of processor time: what one core of the proxy takes, whatever else the machine does.
Latency is from a user's first byte to the builder's last, one bundle at a time, so that nothing
waits for the load of this machine; median and 99th percentile.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import tempfile
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Final

import uvloop
from ethereum_types.numeric import U256

from buildernet.ethereum.signature import SigningKey, sign_body
from tests.bench.figures import Figure, ratio, ratio_of_rates, take
from tests.bench.orderflow_topology import (
    GO,
    OURS,
    Neighbours,
    neighbours,
    run_proxy,
    run_second,
)
from tests.support.orders import make_transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.proxies import RunningProxy

PEERS: Final = (0, 3, 10)
SIZES: Final = {"3 kB": (3_000, 1200), "40 kB": (40_000, 300)}
"""Bytes of a body, and how many of them make a run."""
LATENCIES: Final = 600
"""Of 150 the 99th percentile was the worst two."""
AT_ONCE: Final = 16
TIMEOUT_S: Final = 60.0
SETTLED_S: Final = 4.0
"""After the last answer: what the proxy still sends to peers and archive belongs to the run."""
PEERS_KNOWN_S: Final = 6.0
"""After the start: the list of peers is fetched and the connections are made."""

_TARGET_BLOCK: Final = 1000
_NONCES: Final = itertools.count()
"""What makes every bundle of a run another one."""

User = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def measure_orderflow() -> Iterator[Figure]:
    """All figures of both receivers, then the ratios; then batches between two of ours."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-orderflow-") as folder,
        neighbours(Path(folder), max(PEERS)) as around,
    ):
        yield from _beside_the_reference(around)
        yield from _batches(around)


def _beside_the_reference(around: Neighbours) -> Iterator[Figure]:
    taken: dict[tuple[str, str], Figure] = {}
    for peers in PEERS:
        around.name_peers(around.peers[:peers])
        for label, (size, count) in SIZES.items():
            what = f"{label}, {peers} peers"
            for name in (OURS, GO):
                figures = _one(around, name, size, count, what, peers)
                for figure in figures:
                    taken[name, figure.name.removeprefix(f"{name}: ")] = figure
                    yield figure
            for kind, aim in (("per core", 1.0), ("p50", None), ("p99", 1.0)):
                key = f"{what}, {kind}"
                compare = ratio_of_rates if kind == "per core" else ratio
                ours, theirs = taken[OURS, key], taken[GO, key]
                yield compare(f"{key}: time / {GO}'s", ours, theirs, aim=aim)


def _one(
    around: Neighbours, name: str, size: int, count: int, what: str, peers: int
) -> tuple[Figure, Figure, Figure]:
    def rate() -> float:
        requests = make_requests(count, size)
        around.count_at_peers()
        with run_proxy(name, around, builder=around.plain) as proxy:
            rate = count / _processor_s(proxy, requests)
        if (arrived := around.count_at_peers()) < count * peers:
            raise ConnectionError(f"the peers took {arrived} orders, not {count * peers}")
        return rate

    measured = take(f"{name}: {what}, per core", "/s", rate)
    try:
        builder_times = uvloop.run(_latencies(around, name, make_requests(LATENCIES, size)))
    except Exception as error:
        note = f"not measured: {error!r}"
        return (
            measured,
            Figure(f"{name}: {what}, p50", None, "ms", note=note),
            Figure(f"{name}: {what}, p99", None, "ms", note=note),
        )
    percentiles = quantiles(builder_times, n=100)
    return (
        measured,
        Figure(f"{name}: {what}, p50", percentiles[49] * 1000, "ms"),
        Figure(f"{name}: {what}, p99", percentiles[98] * 1000, "ms"),
    )


def _batches(around: Neighbours) -> Iterator[Figure]:
    """Two of our proxies, with the shared batches and with one request per order."""
    size, count = SIZES["3 kB"]
    figures = []
    for label, port in (
        ("shared batches", around.batching),
        ("a request per order", around.single),
    ):
        around.name_peers((port,), to_second=True)

        def rate() -> float:
            with run_second(around), run_proxy(OURS, around, builder=around.plain) as proxy:
                return count / _processor_s(proxy, make_requests(count, size))

        figures.append(take(f"{OURS}: 3 kB to one of ours, {label}, per core", "/s", rate))
        yield figures[-1]
    yield ratio_of_rates("shared batches: time / a request per order", *figures)


def make_requests(count: int, size: int) -> list[bytes]:
    """Signed bundles of one transaction each, no two alike, as HTTP requests."""
    keys = [SigningKey(bytes([number + 1]) * 32) for number in range(16)]
    requests = []
    for number in range(count):
        raw = make_transaction(nonce=U256(next(_NONCES)), data=b"\xab" * (size // 2 - 200))
        bundle = {"txs": ["0x" + raw.hex()], "blockNumber": hex(_TARGET_BLOCK)}
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendBundle", "params": [bundle]}
        body = json.dumps(call, separators=(",", ":")).encode()
        signature = sign_body(keys[number % len(keys)], body)
        head = (
            "POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"X-Flashbots-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def _processor_s(proxy: RunningProxy, requests: Sequence[bytes]) -> float:
    async def run() -> float:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.sleep(PEERS_KNOWN_S)
            shares = [requests[start::AT_ONCE] for start in range(AT_ONCE)]
            users = [await _connect(proxy.port) for _ in shares]
            before = proxy.processor_s()
            async with asyncio.TaskGroup() as group:
                for user, share in zip(users, shares, strict=True):
                    group.create_task(_send_all(user, share))
            await asyncio.sleep(SETTLED_S)
            return proxy.processor_s() - before

    return uvloop.run(run())


async def _latencies(around: Neighbours, name: str, requests: Sequence[bytes]) -> list[float]:
    """Seconds from sending a bundle to its arrival at the builder, one after the other."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Builder(arrived), "127.0.0.1", 0
    )
    times = []
    with run_proxy(name, around, builder=server.sockets[0].getsockname()[1]) as proxy:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.sleep(PEERS_KNOWN_S)
            user = await _connect(proxy.port)
            for request in requests:
                started = perf_counter()
                await _send_all(user, [request])
                times.append(await arrived.get() - started)
            user[1].close()
    server.close()
    return times[len(times) // 5 :]  # the first ones open connections


async def _connect(port: int) -> User:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def _send_all(user: User, requests: Sequence[bytes]) -> None:
    reader, writer = user
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if b'"error"' in answer or b" 200 " not in head:
            raise ConnectionError(f"an order was refused: {answer[:200]!r}")


class _Builder(asyncio.Protocol):
    """Notes when a whole request has arrived, and answers success."""

    _answer = b'{"jsonrpc":"2.0","id":0,"result":"0x1"}'

    def __init__(self, arrived: asyncio.Queue[float]) -> None:
        self._arrived = arrived
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = bytes(self._data).partition(b"\r\n\r\n")
        if not end:
            return
        fields = head.lower().split(b"content-length:")
        length = int(fields[1].split(b"\r\n")[0]) if len(fields) > 1 else 0
        if len(rest) < length:
            return
        self._data = bytearray(rest[length:])
        if length:
            self._arrived.put_nowait(perf_counter())
        size = len(self._answer)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {size}\r\n\r\n".encode()
            + self._answer
        )
