# SPDX-License-Identifier: MIT
"""The archive's HTTP without an engine: who is refused how, and that no input breaks it."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from buildernet.archive.config import Access
from buildernet.archive.running import following_hub
from buildernet.archive.senders import Senders
from tests.support.archive_app import serving
from tests.support.archive_process import NODE, STRANGER, make_batch, make_record

_RECORDS = "/api/v1/records"
_TOKEN = b"0123456789abcdef"


_CALL = {"jsonrpc": "2.0", "id": 5, "method": "flashbots_newOrderEvents", "params": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"[]", 400, -32600),
        (json.dumps({**_CALL, "jsonrpc": "1.0"}).encode(), 400, -32600),
        (json.dumps([_CALL, _CALL]).encode(), 400, -32600),
        (json.dumps({**_CALL, "method": "eth_call"}).encode(), 404, -32601),
        (json.dumps(_CALL).encode(), 400, -32602),
        (json.dumps({**_CALL, "params": [{"orderEvents": 5}]}).encode(), 400, -32602),
        (json.dumps({**_CALL, "params": [{"orderEvents": [{"x": 1}]}]}).encode(), 400, -32602),
    ],
)
async def test_a_wrong_call_is_refused_as_json_rpc_says(body, status, code):
    async with serving() as archive:
        got, _, answer = await archive.post("/", body)
    assert (got, answer["error"]["code"]) == (status, code)


async def test_an_empty_batch_of_events_is_taken():
    body = json.dumps({**_CALL, "params": [{"orderEvents": []}]}).encode()
    async with serving() as archive:
        status, _, answer = await archive.post("/", body)
    assert (status, answer) == (200, {"jsonrpc": "2.0", "id": 5, "result": None})


@pytest.mark.parametrize("path", ["/", _RECORDS])
@pytest.mark.parametrize("key", [None, STRANGER])
async def test_nobody_unknown_stores_anything(path, key):
    async with serving() as archive:
        status, _, _ = await archive.post(path, make_batch([make_record(1)]), key)
        assert archive.engine.insertions == 0
    assert status == 403


async def test_above_its_requests_it_says_when_to_come_back():
    async with serving(max_requests=1) as archive:
        archive.engine.go.clear()
        body = make_batch([make_record(1)])
        first = asyncio.create_task(archive.post(_RECORDS, body))
        async with asyncio.timeout(20):
            status = 0
            while status != 503:
                second = asyncio.create_task(archive.post(_RECORDS, body))
                done, _ = await asyncio.wait({first, second}, return_when="FIRST_COMPLETED")
                status, headers, _ = done.pop().result()
        assert headers["Retry-After"] == "1"
        archive.engine.go.set()
        assert {(await first)[0], (await second)[0]} == {200, 503}


async def test_a_body_over_the_limit_is_413():
    async with serving() as archive:
        assert (await archive.post(_RECORDS, bytes(2 << 20)))[0] == 413


async def test_questions_need_the_token_when_there_is_one():
    async with serving(token=_TOKEN) as archive:
        assert await archive.get("/api/v1/bundles") == 401
        assert await archive.get("/api/v1/bundles", Authorization="Bearer wrong") == 401
        assert await archive.get("/api/v1/bundles/export") == 401
        right = f"Bearer {_TOKEN.decode()}"
        assert await archive.get("/api/v1/bundles", Authorization=right) == 200
        assert await archive.get("/livez") == 200


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bodies=st.lists(st.binary(min_size=1, max_size=300), min_size=5, max_size=20))
def test_no_signed_body_breaks_it(bodies):
    async def run() -> None:
        async with serving() as archive:
            for body in bodies:
                for path in ("/", _RECORDS):
                    status, _, _ = await archive.post(path, body)
                    assert status in (400, 404)
            assert archive.engine.insertions == 0

    asyncio.run(run())


async def test_builders_of_the_hub_may_send():
    """The list is the internal listener's, which needs no attestation."""
    seen = []

    async def builders(request: web.Request) -> web.Response:
        seen.append(request.path)
        entry = {"name": "n7", "orderflow_proxy": {"ecdsa_pubkey_address": NODE.address.hex()}}
        return web.json_response([entry, {"name": "not yet"}])

    app = web.Application()
    app.router.add_get("/{path:.*}", builders)
    async with TestServer(app) as server:
        senders = Senders([], registry=CollectorRegistry())
        access = Access(hub_url=str(server.make_url("")))
        async with following_hub(access, senders):
            assert senders.authorise(NODE.address) == "n7"
    assert seen[0] == "/api/internal/l1-builder/v1/builders"
