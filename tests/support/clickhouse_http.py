# SPDX-License-Identifier: MIT
"""A stand-in for a ClickHouse server: its HTTP interface, as far as its client uses it, over chDB.

No server can be installed here (Debian's is from 2018), so the engine behind the interface is the
real one and the interface in front of it is ours. Run as a program: `FOLDER [PORT]`;
prints its port.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PASSWORD = "correct horse"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    session: Any
    """chDB has no types."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"Ok.\n")

    def do_POST(self) -> None:
        body = self._body()
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        statement = query.get("query", "")
        if not statement:  # at the head of the body; rows follow a line of their own
            is_insertion = body.startswith(b"INSERT INTO") and b" FORMAT " in body.split(b"\n")[0]
            head, _, rows = body.partition(b"\n") if is_insertion else (body, b"", b"")
            statement, body = head.decode(), rows
        try:
            self._authorise()
            answer = self._run(statement, body, query)
        except Exception as exc:  # what a server does
            self._answer(500, str(exc).encode(), {"X-ClickHouse-Exception-Code": "1"})
        else:
            self._answer(200, answer, {})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _authorise(self) -> None:
        import base64

        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(given).decode().partition(":")[2] != PASSWORD:
            raise PermissionError("Code: 516. DB::Exception: Authentication failed")

    def _run(self, statement: str, body: bytes, query: dict[str, str]) -> bytes:
        session = self.session
        if database := query.get("database"):
            session.query(f"USE {database}", "Null")
        parameters = {
            name.removeprefix("param_"): value
            for name, value in query.items()
            if name.startswith("param_")
        }
        output = query.get("default_format", "TabSeparated")
        if not body:
            return bytes(session.query(statement, output, params=parameters or None).bytes())
        head, _, form = statement.rpartition(" FORMAT ")
        descriptor = os.memfd_create("rows")
        try:
            os.writev(descriptor, [body])
            source = f"FROM INFILE '/proc/self/fd/{descriptor}' FORMAT {form}"
            session.query(f"{head} {source}", "Null")
        finally:
            os.close(descriptor)
        return b""

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    from chdb.session import Session

    _Handler.session = Session(str(Path(sys.argv[1])))  # type: ignore[no-untyped-call]  # chDB
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    print(server.server_port, flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
