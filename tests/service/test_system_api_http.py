# SPDX-License-Identifier: MIT
"""Every route answers in the shape its users know."""

import json
import re

import pytest
from aiohttp import web

from buildernet.base.paths import MAX_EVENT_BYTES
from buildernet.net.health import READINESS
from buildernet.net.limits import ServerLimits
from buildernet.net.server import new_application

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz"])
async def test_health(service, path):
    async with service.client.get(path) as response:
        assert response.status == 200
        assert await response.json() == {"status": "ok"}


async def test_not_ready_says_why_and_stays_alive(service):
    service.app[READINESS].reason = "the disk is locked"
    async with service.client.get("/readyz") as response:
        assert response.status == 503
        assert await response.json() == {"status": "unavailable", "reason": "the disk is locked"}
    assert json.loads(await service.text("/livez")) == {"status": "ok"}


async def test_a_new_event_is_in_every_list(service):
    async with service.client.get("/api/v1/new_event", params={"message": "disk ünlocked"}) as r:
        assert (r.status, await r.read()) == (200, b"")
    own, event = json.loads(await service.text("/api/v1/events"))
    assert own["message"] == "[system-api] started"
    assert event.keys() == {"received_at", "message"}
    assert event["message"] == "disk ünlocked"
    assert _RFC3339.fullmatch(event["received_at"])
    for path in ("/logs", "/api/v1/events?format=text"):
        last = (await service.text(path)).splitlines()[-1]
        moment, message = last.split(" \t ")
        assert message == "disk ünlocked"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)


async def test_content_types(service):
    for path, kind in (
        ("/api/v1/events", "application/json"),
        ("/logs", "text/plain"),
        ("/metrics", "text/plain"),
    ):
        async with service.client.get(path) as response:
            assert response.content_type == kind


async def test_an_event_cannot_forge_a_line(service):
    message = "one\n2026-01-01T00:00:00Z \t two\x1b[31m"
    async with service.client.get("/api/v1/new_event", params={"message": message}):
        pass
    assert len((await service.text("/logs")).splitlines()) == 2
    assert json.loads(await service.text("/api/v1/events"))[1]["message"] == message


@pytest.mark.parametrize("query", ["", "?message=", "?message=%20%0a", "?other=1"])
async def test_an_empty_event_is_accepted_and_ignored(service, query):
    assert await service.text(f"/api/v1/new_event{query}") == ""
    assert len(json.loads(await service.text("/api/v1/events"))) == 1


async def test_an_event_too_long_is_refused(service):
    for size, status in ((MAX_EVENT_BYTES - 1, 200), (MAX_EVENT_BYTES, 413)):
        async with service.client.get("/api/v1/new_event", params={"message": "x" * size}) as r:
            assert r.status == status
    assert len(json.loads(await service.text("/api/v1/events"))) == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/logs", 405),
        ("HEAD", "/api/v1/new_event?message=x", 405),
        ("POST", "/api/v1/set-basic-auth", 404),
        ("GET", "/api/v1/measured-boot/registers", 404),
    ],
)
async def test_errors_are_json(service, method, path, status):
    async with service.client.request(method, path) as response:
        assert response.status == status
        if method != "HEAD":
            body = await response.json()
            assert body.keys() == {"code", "message"}
            assert body["code"] == status
    assert len(json.loads(await service.text("/api/v1/events"))) == 1


async def test_a_bug_is_an_answer_without_details(aiohttp_client, caplog):
    async def broken(_request: web.Request) -> web.Response:
        raise ZeroDivisionError("secret detail")

    app = new_application("broken", limits=ServerLimits())
    app.router.add_get("/", broken)
    async with (await aiohttp_client(app)).get("/") as response:
        assert response.status == 500
        assert await response.json() == {"code": 500, "message": "Internal server error"}
    assert "secret detail" in caplog.text


async def test_what_was_measured_is_served(start, tmp_path):
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured/registers.json").write_text('{"pcrs": {}}')
    (tmp_path / "measured/tpm-event-log.bin").write_bytes(b"\x00\xff log")
    async with start() as service:
        async with service.client.get("/api/v1/measured-boot/registers") as response:
            assert await response.json() == {"pcrs": {}}
        async with service.client.get("/api/v1/measured-boot/event-log") as response:
            assert response.content_type == "application/octet-stream"
            assert await response.read() == b"\x00\xff log"


async def test_what_was_not_measured_is_said(service):
    async with service.client.get("/api/v1/measured-boot/event-log") as response:
        assert response.status == 404
        assert "measured-boot.service has not run" in (await response.json())["message"]


async def test_metrics_count_requests_without_inventing_labels(service):
    for method in ("PATCH", "PROPFIND", "MKCOL"):
        async with service.client.request(method, f"/none/{method}"):
            pass
    name = 'system_api_http_requests_total{method="other",route="unmatched",status="404"}'
    assert await service.metric(name) == 3
    assert await service.metric("process_resident_memory_bytes") > 0
    assert await service.metric("system_api_events_stored") == 1
