# SPDX-License-Identifier: MIT
"""A system-api to talk to: in this process for its limits, as a process for its life cycle."""

import asyncio
import http.client
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from buildernet.net.address import ListenAddress
from buildernet.net.server import listening
from buildernet.system_api.app import build_app
from buildernet.system_api.config import General, SystemApiConfig
from tests.support.hub_fixtures import (  # noqa: F401 - fixtures by being names of this module
    _postgres_template,
    _sqlite_template,
    hub,
    hub_database,
    postgres,
    sqlite_database,
    sqlite_hub,
)

START_DEADLINE_S = 20.0
"""A start takes half a second; the machine may be busy with a build."""


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Service:
    """A service listening in this process."""

    app: web.Application
    host: str
    port: int
    fifo: Path
    client: ClientSession

    async def text(self, path: str) -> str:
        async with self.client.get(path) as response:
            assert response.status == 200
            return await response.text()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Open a bare connection; its small buffer makes it a slow reader when it does not read."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1024)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def metric(self, name: str) -> float:
        for line in (await self.text("/metrics")).splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise LookupError(name)


Start = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a service in this process; takes fields of `General`."""

    @asynccontextmanager
    async def _start(**general: Any) -> AsyncIterator[Service]:
        fifo = tmp_path / "events.fifo"
        base = General(pipe_file=fifo, measured_boot_dir=tmp_path / "measured")
        app = build_app(SystemApiConfig(replace(base, **general)))
        async with (
            listening(app, ListenAddress("127.0.0.1", 0)) as bound,
            ClientSession(f"http://127.0.0.1:{bound.port}") as client,
        ):
            yield Service(app, "127.0.0.1", bound.port, fifo, client)

    return _start


@pytest.fixture
async def service(start: Start) -> AsyncIterator[Service]:
    """A service with its defaults."""
    async with start() as running:
        yield running


@dataclass(slots=True)
class Process:
    """A `system-api` started as systemd starts it."""

    popen: subprocess.Popen[str]
    port: int
    fifo: Path
    log: list[dict[str, str]] = field(default_factory=list)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start a process and return once it says READY=1."""
    with ExitStack() as stack:

        def _launch(*arguments: str) -> Process:
            manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            name = str(tmp_path / "notify")
            manager.bind(name)
            fifo = tmp_path / "events.fifo"
            command = ["--listen-addr", "127.0.0.1:0", "--pipe-file", str(fifo), *arguments]
            popen = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _MAIN, *command],
                    stderr=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "NOTIFY_SOCKET": name},
                )
            )
            stack.callback(popen.kill)
            ready, _, _ = select.select([manager], [], [], START_DEADLINE_S)
            assert ready, "system-api did not say READY=1"
            assert manager.recv(100) == b"READY=1"
            process = Process(popen, 0, fifo)
            assert popen.stderr is not None
            while not process.port:
                entry = json.loads(popen.stderr.readline())
                process.log.append(entry)
                if entry["msg"].startswith("listening "):
                    process.port = int(entry["msg"].rpartition(":")[2])
            return process

        yield _launch


_MAIN = "import sys; from buildernet.system_api.cli import main; sys.exit(main())"
