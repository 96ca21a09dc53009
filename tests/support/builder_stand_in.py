# SPDX-License-Identifier: MIT
"""A builder as a process: takes JSON-RPC, and what it took survives its death.

Run as a program: `PORT FILE`. Every order is a line in FILE before it is answered: the number in
its `minTimestamp` (the tests' way to tell orders apart), and when it came. It is the execution
client too: `eth_blockNumber` is always `HEAD`.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from tests.support.program import Program, listens

HEAD: Final = 19_999_900
"""A hundred blocks before the one that the tests' bundles are for: none expires in a test."""

_MAX_BODY_BYTES: Final = 16 << 20


@dataclass
class Builder:
    """The process, and what it has written."""

    port: int
    file: Path
    program: Program

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def taken(self) -> list[tuple[int, float]]:
        """Return the number of each order, in order, and its `time.perf_counter`."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [(int(number), float(at)) for number, at in map(str.split, lines)]


def make_builder(folder: Path, port: int) -> Builder:
    """Set up a builder that writes into a folder."""
    file = folder / "taken"
    program = Program("builder", __name__, [str(port), str(file)], folder, lambda: listens(port))
    return Builder(port, file, program)


def build_app(file: Path) -> web.Application:
    """Return the application that writes to a file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def take(request: web.Request) -> web.Response:
        envelope = json.loads(await request.read())
        result = None
        if envelope["method"] == "eth_blockNumber":
            result = hex(HEAD)
        else:
            number = envelope["params"][0]["minTimestamp"]
            os.write(descriptor, b"%d %f\n" % (number, time.perf_counter()))
        return web.json_response({"jsonrpc": "2.0", "id": envelope["id"], "result": result})

    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_post("/", take)
    return app


async def _serve(port: int, file: Path) -> None:
    runner = web.AppRunner(build_app(file), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
