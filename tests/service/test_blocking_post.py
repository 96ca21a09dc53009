# SPDX-License-Identifier: MIT
"""The blocking POST against a real socket."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from buildernet.base.errors import ConfigError
from buildernet.net.blocking_post import post

if TYPE_CHECKING:
    from collections.abc import Iterator


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
            return
        answer = f"{self.path} {self.headers['Metadata']} ".encode() + body
        self.send_response(301 if self.path == "/moved" else 200)
        self.send_header("Location", "/")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def send(url: str, *, limit: int = 100) -> bytes:
    return post(url, headers={"Metadata": "true"}, body=b"body", limit=limit)


def test_body_and_headers_arrive(base: str):
    assert send(f"{base}/acc/tdquote?x=1") == b"/acc/tdquote?x=1 true body"


@pytest.mark.parametrize(
    ("path", "limit", "match"),
    [("/moved", 100, "status 301"), ("/nonsense", 100, "not HTTP"), ("/", 10, "more than 10")],
)
def test_other_answers_are_errors(base: str, path: str, limit: int, match: str):
    with pytest.raises(OSError, match=match):
        send(base + path, limit=limit)


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "file:///etc/passwd", "http://", "x"])
def test_only_http_is_spoken(url: str):
    with pytest.raises(ConfigError, match="is no http URL"):
        send(url)


def test_closed_port_is_an_error():
    with pytest.raises(OSError, match="refused"):
        send("http://127.0.0.1:1/")
