# SPDX-License-Identifier: MIT
"""Requests, large bodies, added latency and idle connections through each proxy, in turn.

The proxies run on the same machine as client and backend and share its processors with them, so
the processor time of the proxy alone is given too. All are asked in turn, several times over, and
the best of each counts: a busy machine disturbs all alike.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final

import uvloop

from tests.bench.figures import Figure, ratio, ratio_of_rates, take
from tests.bench.proxies import BODY, GO, LARGE_BYTES, NGINX, OURS, RunningProxy, proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS: Final = 3
AT_ONCE: Final = 16
REQUESTS: Final = 2400
LATENCY_REQUESTS: Final = 400
IDLE: Final = 1000
MIB: Final = 1 << 20
TIMEOUT_S: Final = 30.0

_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
_BUFFER: Final = 256 * 1024

_KINDS: Final = (
    # figure, unit, whether more is better
    ("requests, 16 connections", "/s", True),
    ("processor time of a request", "us", False),
    ("64 MiB down", "MiB/s", True),
    ("64 MiB up", "MiB/s", True),
    ("processor time of 64 MiB down", "ms", False),
    ("processor time of 64 MiB up", "ms", False),
    ("added latency", "us", False),
    ("1,000 idle connections", "MiB", False),
)


def measure_traffic() -> Iterator[Figure]:
    """All figures of all proxies, then the ratios."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    try:
        with tempfile.TemporaryDirectory(prefix="bench-proxy-") as folder:
            yield from _measure(Path(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _measure(folder: Path) -> Iterator[Figure]:
    taken: dict[tuple[str, str], Figure] = {}
    with proxies(folder) as (backend, running):
        # First: later a proxy would reuse memory that traffic made it take.
        idle = _KINDS[-1][0]
        runs = {(proxy.name, idle): [uvloop.run(_idle(proxy))] for proxy in running}
        for _ in range(ROUNDS):
            direct = uvloop.run(_latency(backend, tls=False))
            for proxy in running:
                for kind, value in _round(proxy, direct).items():
                    runs.setdefault((proxy.name, kind), []).append(value)
        names = [proxy.name for proxy in running]
    for kind, unit, more in _KINDS:
        for name in names:
            values = runs[name, kind]

            def best(values: list[float] = values, more: bool = more) -> float:
                return max(values) if more else min(values)

            taken[name, kind] = take(f"{name}: {kind}", unit, best)
            yield taken[name, kind]
    missing = Figure("", None, "")
    for kind, _unit, more in _KINDS:
        compare: Callable[..., Figure] = ratio_of_rates if more else ratio
        for other, aim in ((NGINX, None), (GO, 1.0)):
            ours, theirs = taken[OURS, kind], taken.get((other, kind), missing)
            what = "time" if more else "ratio"
            yield compare(f"{kind}, {what} / {other}'s", ours, theirs, aim=aim)


def _round(proxy: RunningProxy, direct_s: float) -> dict[str, float]:
    before = proxy.processor_s()
    rate = uvloop.run(_rate(proxy.port))
    processor = proxy.processor_s() - before
    found = {_KINDS[0][0]: rate, _KINDS[1][0]: processor / REQUESTS * 1e6}
    for number, transfer in ((2, _down), (3, _up)):
        before, started = proxy.processor_s(), perf_counter()
        transfer(proxy.port)
        found[_KINDS[number][0]] = LARGE_BYTES / MIB / (perf_counter() - started)
        found[_KINDS[number + 2][0]] = (proxy.processor_s() - before) * 1000
    latency = uvloop.run(_latency(proxy.port, tls=True))
    found[_KINDS[6][0]] = (latency - direct_s) * 1e6
    return found


class _Caller(asyncio.Protocol):
    """Sends one request after the other, with as little of its own as possible."""

    def __init__(self, count: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.times: list[float] = []
        self._left = count
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's

    def start(self) -> None:
        self._started = perf_counter()
        self._transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-len(BODY) :]
        if self._tail != BODY:
            return
        self._tail = b""
        self.times.append(perf_counter() - self._started)
        self._left -= 1
        if self._left:
            self.start()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed early"))


async def _callers(port: int, number: int, count: int, *, tls: bool) -> list[_Caller]:
    loop = asyncio.get_running_loop()
    context = _unverified() if tls else None
    found = []
    for _ in range(number):
        _, caller = await loop.create_connection(
            lambda: _Caller(count), "127.0.0.1", port, ssl=context
        )
        found.append(caller)
    return found


async def _rate(port: int) -> float:
    async with asyncio.timeout(TIMEOUT_S):
        callers = await _callers(port, AT_ONCE, REQUESTS // AT_ONCE, tls=True)
        started = perf_counter()
        for caller in callers:
            caller.start()
        await asyncio.gather(*(caller.done for caller in callers))
        return REQUESTS / (perf_counter() - started)


async def _latency(port: int, *, tls: bool) -> float:
    async with asyncio.timeout(TIMEOUT_S):
        [caller] = await _callers(port, 1, LATENCY_REQUESTS, tls=tls)
        caller.start()
        await caller.done
        return median(caller.times)


async def _idle(proxy: RunningProxy) -> float:
    """Resident memory that 1,000 connections add, each after one request."""
    async with asyncio.timeout(TIMEOUT_S):
        before = proxy.memory()
        callers = await _callers(proxy.port, IDLE, 1, tls=True)
        for caller in callers:
            caller.start()
            await caller.done
        return (proxy.memory() - before) / MIB


def _connect(port: int) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    return _unverified().wrap_socket(raw)


def _down(port: int) -> None:
    buffer, left = bytearray(_BUFFER), LARGE_BYTES
    with _connect(port) as tls:
        tls.sendall(b"GET /down HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        while left > 0 and (size := tls.recv_into(buffer)):
            left -= size
    if left > 0:
        raise ConnectionError("answer is not whole")


def _up(port: int) -> None:
    piece, answer = bytes(_BUFFER), b""
    with _connect(port) as tls:
        head = f"POST /up HTTP/1.1\r\nHost: bench\r\nContent-Length: {LARGE_BYTES}\r\n\r\n"
        tls.sendall(head.encode())
        for _ in range(LARGE_BYTES // len(piece)):
            tls.sendall(piece)
        while not answer.endswith(BODY):
            if not (more := tls.recv(_BUFFER)):
                raise ConnectionError("no answer")
            answer += more


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
