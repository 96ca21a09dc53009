# SPDX-License-Identifier: MIT
"""The archive's HTTP without an engine: who is refused how, and that no input breaks it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from buildernet.archive.app import Parts, build_app, build_operator_app
from buildernet.archive.config import Access, ArchiveConfig, Limits
from buildernet.archive.reader import Reader
from buildernet.archive.running import following_hub
from buildernet.archive.senders import Senders
from buildernet.archive.writer import Writer, WriterLimits
from buildernet.ethereum.signature import sign_body
from buildernet.net.address import ListenAddress
from buildernet.net.metrics import METRICS
from buildernet.net.server import listening
from tests.support.archive_process import NODE, STRANGER, make_batch, make_record

_RECORDS = "/api/v1/records"
_TOKEN = b"0123456789abcdef"


class Memory:
    """An engine that keeps bytes, and nothing of it while held."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.insertions = 0

    def insert(self, _table: str, _columns: object, _rows: bytes) -> None:
        assert self.go.wait(20)
        self.insertions += 1

    def query(self, _statement: str, _parameters: object) -> bytes:
        return b""


@dataclass
class Running:
    engine: Memory
    client: ClientSession
    nodes: str
    operator: str

    async def post(self, path: str, body: bytes, key: Any = NODE) -> tuple[int, Any, Any]:
        headers = {} if key is None else {"X-BuilderNet-Signature": sign_body(key, body)}
        async with self.client.post(
            self.nodes + path, data=BytesIO(body), headers=headers
        ) as answer:
            return answer.status, answer.headers, await answer.json()

    async def get(self, path: str, **headers: str) -> int:
        async with self.client.get(self.operator + path, headers=headers) as answer:
            return answer.status


@asynccontextmanager
async def serving(*, max_requests: int = 16, token: bytes = b"") -> AsyncIterator[Running]:
    engine = Memory()
    operator = build_operator_app()
    registry = operator[METRICS].registry
    writer = Writer(cast(Any, engine), limits=WriterLimits(interval_s=0.0), registry=registry)
    reader = Reader(cast(Any, engine), cast(Any, engine))
    senders = Senders([(NODE.address, "n")], registry=registry)
    config = ArchiveConfig(limits=Limits(max_requests=max_requests, max_body_mb=1))
    app = build_app(config, Parts(senders, writer, reader, token), operator=operator)
    anywhere = ListenAddress("127.0.0.1", 0)
    async with asyncio.TaskGroup() as group, ClientSession() as client:
        group.create_task(writer.run())
        async with listening(app, anywhere) as one, listening(operator, anywhere) as two:
            yield Running(
                engine, client, f"http://127.0.0.1:{one.port}", f"http://127.0.0.1:{two.port}"
            )
        writer.stop()
    reader.close()


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
