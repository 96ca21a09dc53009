# SPDX-License-Identifier: MIT
"""A builder as a process: takes JSON-RPC, and what it took survives its death.

Run as a program: `PORT FILE`. Every order is a line in FILE before it is answered: the number in
its `minTimestamp` (the tests' way to tell orders apart). It is the execution client too:
`eth_blockNumber` is always `HEAD`.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

HEAD: Final = 19_999_900
"""A hundred blocks before the one that the tests' bundles are for: none expires in a test."""

_MAX_BODY_BYTES: Final = 16 << 20


def build_app(file: Path) -> web.Application:
    """Return the application that writes to a file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def take(request: web.Request) -> web.Response:
        envelope = json.loads(await request.read())
        result = None
        if envelope["method"] == "eth_blockNumber":
            result = hex(HEAD)
        else:
            os.write(descriptor, b"%d\n" % envelope["params"][0]["minTimestamp"])
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
