# SPDX-License-Identifier: MIT
"""Binaries of the reference proxies as processes, where a variable names the folder they are in."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

CVM_REVERSE_PROXY: Final = "BUILDERNET_CVM_REVERSE_PROXY"
"""Holds `proxy-client` and `proxy-server` of flashbots/cvm-reverse-proxy (Go)."""

ATTESTED_TLS_PROXY: Final = "BUILDERNET_ATTESTED_TLS_PROXY"
"""Holds `attested-tls-proxy` of flashbots/attested-tls-proxy 1.x (Rust)."""

TDX_ORDERFLOW_PROXY: Final = "BUILDERNET_TDX_ORDERFLOW_PROXY"
"""Holds `receiver-proxy` of flashbots/tdx-orderflow-proxy (Go)."""

FOLDERS: Final = {
    name: os.environ.get(name)
    for name in (CVM_REVERSE_PROXY, ATTESTED_TLS_PROXY, TDX_ORDERFLOW_PROXY)
}
"""Read here: tests themselves start from a clean environment."""

START_DEADLINE_S: Final = 20.0
STOP_DEADLINE_S: Final = 10.0


def find_program(variable: str, name: str) -> Path | None:
    """Return a binary; None where there is none."""
    folder = FOLDERS[variable]
    path = Path(folder or "") / name
    return path if folder and path.is_file() else None


@contextmanager
def running(command: list[str], *, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process as long as the context is open."""
    with (
        (log or Path(os.devnull)).open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as popen,
    ):
        try:
            yield popen
        finally:
            popen.terminate()  # nginx would leave its workers behind if it were killed
            try:
                popen.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                popen.kill()


async def listens(port: int) -> None:
    """Wait until somebody listens on a port."""
    async with asyncio.timeout(START_DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


@asynccontextmanager
async def quote_service(attest: Callable[[bytes], Awaitable[bytes]]) -> AsyncIterator[str]:
    """Answer as the remote quote service of both: GET /attest/<report data in hex>.

    Args:
        attest: Gets the report data, 32 or 64 bytes; returns the body of the answer.
    """

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=await attest(bytes.fromhex(request.match_info["data"])))

    app = web.Application()
    app.router.add_get("/attest/{data}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
