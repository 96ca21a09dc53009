# SPDX-License-Identifier: MIT
"""What stands between a node and the hub, without evidence: says whose requests they are.

It does what attested-proxy's server does after it has verified: the three headers of
docs/protocols/orderflow-hub.md. A hub that is down is 502, as there.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.support.builder_hub import instance_headers

_PASSED: Final = ("Content-Type", "X-BuilderNet-Signature")
_TIMEOUT_S: Final = 30.0


class _Front(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub_port: int, ip: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub_port = hub_port
        self.ip = ip


class _Handler(BaseHTTPRequestHandler):
    server: _Front

    def do_GET(self) -> None:
        self._forward(None)

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers["Content-Length"])))

    def _forward(self, body: bytes | None) -> None:
        headers = instance_headers(ip=self.server.ip)
        headers |= {name: value for name in _PASSED if (value := self.headers.get(name))}
        hub = http.client.HTTPConnection("127.0.0.1", self.server.hub_port, timeout=_TIMEOUT_S)
        try:
            hub.request(self.command, self.path, body, headers)
            answer = hub.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            status, content = HTTPStatus.BAD_GATEWAY, b""
        finally:
            hub.close()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def hub_front(hub_port: int, ip: str) -> Iterator[int]:
    """Yield the port at which a node of this address finds the hub."""
    front = _Front(hub_port, ip)
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield front.server_port
    finally:
        front.shutdown()
        thread.join()
        front.server_close()
