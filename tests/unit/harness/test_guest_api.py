# SPDX-License-Identifier: MIT
"""Only a 200 with a bounded body counts; everything else is the harness's own error."""

import http.server
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness import guest_api
from tests.harness.deadline import Deadline
from tests.harness.errors import BootFailedError, DeadlineError, FailureKind, GuestAPIError
from tests.harness.guest_api import SYSTEM_API_PORT, GuestAPI


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"x" * 20 if self.path == "/large" else b"live"
        self.send_response(503 if self.path == "/busy" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def machine():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        ports = {SYSTEM_API_PORT: server.server_port}
        yield SimpleNamespace(ports=ports, require_running=lambda _: None)
        server.shutdown()


def api_of(machine: Any) -> GuestAPI:
    return GuestAPI(machine)


def test_the_body_of_a_good_answer(machine):
    assert api_of(machine).get("/livez") == b"live"


def test_another_status_is_an_error(machine):
    with pytest.raises(GuestAPIError, match="status 503"):
        api_of(machine).get("/busy")


def test_a_body_over_the_limit_is_an_error(machine, monkeypatch):
    monkeypatch.setattr(guest_api, "MAX_BODY_BYTES", 10)
    with pytest.raises(GuestAPIError, match="more than 10 bytes"):
        api_of(machine).get("/large")


def test_waiting_ends_with_the_answer(machine):
    assert api_of(machine).wait_live(Deadline.after(10)) < 10


def test_waiting_ends_with_the_deadline(machine):
    with pytest.raises(DeadlineError, match="GET /busy"):
        api_of(machine).wait_live(Deadline.after(0.05), "/busy")


def test_waiting_ends_when_the_machine_fails(machine):
    def fail(seconds):
        raise BootFailedError(FailureKind.PANIC, "Kernel panic")

    machine.require_running = fail
    with pytest.raises(BootFailedError):
        api_of(machine).wait_live(Deadline.after(60), "/busy")
