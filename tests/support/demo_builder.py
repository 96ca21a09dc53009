# SPDX-License-Identifier: MIT
"""Stands in for a block builder and its Ethereum node: JSON-RPC that remembers what it was sent."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

HEAD: Final = 20_000_000
"""The chain's newest block, for ever."""


@dataclass
class BuilderStandIn:
    """A builder; times are those of `time.perf_counter`."""

    name: str
    port: int = 0
    arrivals: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def times_of(self, transaction: str) -> list[float]:
        """Return when bundles with this transaction arrived."""
        return [at for at, bundle in list(self.arrivals) if transaction in bundle.get("txs", ())]

    def take(self, request: dict[str, Any]) -> Any:
        """Answer one request."""
        if request["method"] == "eth_blockNumber":
            return hex(HEAD)
        self.arrivals.append((time.perf_counter(), request["params"][0]))
        return None


@contextmanager
def building(name: str) -> Iterator[BuilderStandIn]:
    """Listen on loopback."""
    builder = BuilderStandIn(name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"jsonrpc": "2.0", "id": request["id"], "result": builder.take(request)}
            self._send(json.dumps(answer).encode())

        def do_GET(self) -> None:
            self._send(b"OK")

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        builder.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield builder
        finally:
            server.shutdown()
