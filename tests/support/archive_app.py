# SPDX-License-Identifier: MIT
"""The archive's two applications without an engine, served on loopback."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

from aiohttp import ClientSession

from buildernet.archive.app import Parts, build_app, build_operator_app
from buildernet.archive.config import ArchiveConfig, Limits
from buildernet.archive.reader import Reader
from buildernet.archive.senders import Senders
from buildernet.archive.writer import Writer, WriterLimits
from buildernet.ethereum.signature import sign_body
from buildernet.net.address import ListenAddress
from buildernet.net.metrics import METRICS
from buildernet.net.server import listening
from tests.support.archive_process import NODE


class Memory:
    """An engine that keeps bytes, and nothing of it while held."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.insertions = 0

    def insert(self, _table: str, _columns: object, _rows: bytes) -> None:
        assert self.go.wait(20)
        self.insertions += 1

    def query(self, _statement: str, _parameters: object) -> bytes:
        return b""

    def stream(self, _statement: str, _parameters: object, _output: str) -> Iterator[bytes]:
        yield b"PAR1"


@dataclass
class Running:
    engine: Memory
    client: ClientSession
    nodes: str
    """URL of what nodes send to."""
    operator: str

    async def post(self, path: str, body: bytes, key: Any = NODE) -> tuple[int, Any, Any]:
        headers = {} if key is None else {"X-BuilderNet-Signature": sign_body(key, body)}
        async with self.client.post(
            self.nodes + path, data=BytesIO(body), headers=headers
        ) as answer:
            return answer.status, answer.headers, await answer.json()

    async def get(self, path: str, **headers: str) -> int:
        async with self.client.get(self.operator + path, headers=headers) as answer:
            return answer.status


@asynccontextmanager
async def serving(
    *, max_requests: int = 16, token: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Running]:
    """Serve both applications; `tls` is for the nodes' one."""
    engine = Memory()
    operator = build_operator_app()
    registry = operator[METRICS].registry
    writer = Writer(cast(Any, engine), limits=WriterLimits(interval_s=0.0), registry=registry)
    reader = Reader(cast(Any, engine), cast(Any, engine))
    senders = Senders([(NODE.address, "n")], registry=registry)
    config = ArchiveConfig(limits=Limits(max_requests=max_requests, max_body_mb=1))
    app = build_app(config, Parts(senders, writer, reader, token), operator=operator)
    anywhere = ListenAddress("127.0.0.1", 0)
    async with asyncio.TaskGroup() as group, ClientSession() as client:
        group.create_task(writer.run())
        async with (
            listening(app, anywhere, tls=tls) as one,
            listening(operator, anywhere) as two,
        ):
            scheme = "http" if tls is None else "https"
            yield Running(
                engine, client, f"{scheme}://127.0.0.1:{one.port}", f"http://127.0.0.1:{two.port}"
            )
        writer.stop()
    reader.close()
