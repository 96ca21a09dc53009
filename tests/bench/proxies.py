# SPDX-License-Identifier: MIT
"""The proxies that are compared, as processes before one backend: ours, nginx and the Go one."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

import psutil
import uvloop
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from buildernet.attested_proxy.certificate import make_identity
from tests.support.program import free_port
from tests.support.reference_proxies import CVM_REVERSE_PROXY, find_program, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY: Final = b"hello"
LARGE_BYTES: Final = 64 << 20
OURS: Final = "attested-proxy"
NGINX: Final = "nginx"
GO: Final = "cvm-reverse-proxy"
START_DEADLINE_S: Final = 20.0
OPEN: Final = 8192

_PIECE: Final = bytes(256 * 1024)
_NGINX: Final = """\
daemon off; worker_processes auto; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections {open}; }}
http {{
  access_log off; client_max_body_size 0; proxy_request_buffering off;
  proxy_max_temp_file_size 0; keepalive_requests 100000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream behind {{ server 127.0.0.1:{backend}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ proxy_pass http://behind; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """A proxy that listens."""

    name: str
    port: int
    process: psutil.Process

    def memory(self) -> int:
        """Bytes of resident memory, its workers included."""
        return sum(one.memory_info().rss for one in self._all())

    def processor_s(self) -> float:
        """Processor time so far, its workers included."""
        times = [one.cpu_times() for one in self._all()]
        return sum(time.user + time.system for time in times)

    def _all(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def proxies(folder: Path) -> Iterator[tuple[int, list[RunningProxy]]]:
    """Run a backend and every proxy that is there; yields the backend's port and the proxies."""
    backend = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(backend,))
    process.start()
    try:
        with ExitStack() as stack:
            found = []
            for name, start in ((OURS, _ours), (NGINX, _nginx), (GO, _go)):
                port = free_port()
                if (command := start(folder, port, backend)) is not None:
                    popen = stack.enter_context(running(command, log=folder / f"{name}.log"))
                    found.append(RunningProxy(name, port, psutil.Process(popen.pid)))
            for port in (backend, *(proxy.port for proxy in found)):
                wait_for_port(port)
            yield backend, found
    finally:
        process.kill()
        process.join()


def _ours(folder: Path, port: int, backend: int) -> list[str]:
    config = folder / "attested-proxy.toml"
    config.write_text(
        "[limits]\n"
        f"max_connections = {OPEN}\nmax_connections_per_address = {OPEN}\nmax_handshakes = {OPEN}\n"
    )
    return [
        *(sys.executable, "-m", "buildernet.attested_proxy", "server", "--config", str(config)),
        *("--listen-addr", f"127.0.0.1:{port}", "--target-addr", f"http://127.0.0.1:{backend}"),
        *("--server-attestation-type", "none"),
    ]


def _nginx(folder: Path, port: int, backend: int) -> list[str] | None:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        return None
    identity = make_identity(["127.0.0.1"], now=datetime.now(UTC))
    (folder / "cert.pem").write_bytes(identity.pem)
    key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(key)
    text = _NGINX.format(folder=folder, open=OPEN, backend=backend, port=port)
    (folder / "nginx.conf").write_text(text)
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "/dev/null"]


def _go(_folder: Path, port: int, backend: int) -> list[str] | None:
    program = find_program(CVM_REVERSE_PROXY, "proxy-server")
    if program is None:
        return None
    return [
        *(str(program), "--listen-addr", f"127.0.0.1:{port}", "--log-debug=false"),
        *("--target-addr", f"http://127.0.0.1:{backend}", "--server-attestation-type", "none"),
    ]


def wait_for_port(port: int) -> None:
    """Wait until somebody listens there."""
    end = monotonic() + START_DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if monotonic() > end:
                raise subprocess.TimeoutExpired("a proxy", START_DEADLINE_S) from None
            sleep(0.05)
        else:
            return


def _serve(port: int) -> None:
    """Run the backend: a short answer, a long one, and one that counts what it gets."""

    async def short(_request: web.Request) -> web.Response:
        return web.Response(body=BODY)

    async def down(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = LARGE_BYTES
        await response.prepare(request)
        for _ in range(LARGE_BYTES // len(_PIECE)):
            await response.write(_PIECE)
        return response

    async def up(request: web.Request) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        return web.Response(body=BODY)

    async def main() -> None:
        app = web.Application()
        app.add_routes([web.get("/", short), web.get("/down", down), web.post("/up", up)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()

    uvloop.run(main())
