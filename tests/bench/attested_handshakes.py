# SPDX-License-Identifier: MIT
"""Attested handshakes per second: both protocols, quotes that take 40 ms and quotes that take none.

Client and server share one process and one processor. Quotes are made one at a time, as on real
hardware, so 40 ms bound a server to 25 handshakes per second whatever the rest costs.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final

import uvloop

from buildernet.attested_proxy.config import Limits, ServerConfig
from buildernet.attested_proxy.dial import Dialler, WireProtocol
from buildernet.attested_proxy.evidence import Workers
from tests.bench.figures import Figure, ratio_of_rates, take
from tests.support.attested_tls import SimulatedIssuer, attested_server, demanding

if TYPE_CHECKING:
    from collections.abc import Iterator

QUOTE_S: Final = 0.04
"""What TDX hosts take, by published figures."""

AT_ONCE: Final = 8
COUNTS: Final = {0.0: 400, QUOTE_S: 75}
OPEN: Final = 4096


@dataclass
class SerialIssuer(SimulatedIssuer):
    """Makes one quote at a time, each of them slowly."""

    seconds: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def issue(self, report_data: bytes) -> bytes:
        if self.seconds:
            async with self.lock:
                await asyncio.sleep(self.seconds)
        return await super().issue(report_data)


def measure_handshakes() -> Iterator[Figure]:
    """Both protocols, with and without the time of a quote."""
    logging.disable(logging.INFO)
    for seconds in (0.0, QUOTE_S):
        found = {}
        for protocol in (WireProtocol.A, WireProtocol.B):
            name = f"handshakes, protocol {protocol.value.upper()}, quote {seconds * 1000:.0f} ms"

            def rate(seconds: float = seconds, protocol: WireProtocol = protocol) -> float:
                return uvloop.run(_rate(protocol, seconds))

            found[protocol] = take(name, "/s", rate)
            yield found[protocol]
        name = f"protocol B / A, time of a handshake, quote {seconds * 1000:.0f} ms"
        yield ratio_of_rates(name, found[WireProtocol.B], found[WireProtocol.A])


async def _rate(protocol: WireProtocol, quote_s: float) -> float:
    limits = Limits(max_connections=OPEN, max_connections_per_address=OPEN)
    config = ServerConfig(serve_certificate=True, limits=limits)
    workers = Workers("bench")
    left = iter(range(COUNTS[quote_s]))
    async with attested_server(config, issuer=SerialIssuer(seconds=quote_s)) as run:
        dialler = Dialler(
            "127.0.0.1",
            run.port,
            judge=demanding(),
            issuer=None,
            workers=workers,
            protocol=protocol,
            timeout_s=30,
        )

        async def worker() -> None:
            for _ in left:
                channel, _peer = await dialler.dial()
                channel.close()

        (await dialler.dial())[0].close()
        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())
        seconds = perf_counter() - started
    workers.close()
    return COUNTS[quote_s] / seconds
