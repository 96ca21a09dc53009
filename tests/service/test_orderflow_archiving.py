# SPDX-License-Identifier: MIT
"""The proxy and an archive's answers: nothing is given up but what the archive itself refuses."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from buildernet.base.errors import ConfigError
from buildernet.ethereum.signature import verify_body
from buildernet.net.archive_stream import OrderRecord, encode_record, parse_batch
from buildernet.orderflow_proxy.archive_sender import (
    ArchiveSender,
    Form,
    OrderEventsForm,
    RecordsForm,
)
from buildernet.orderflow_proxy.archiving import archiving
from buildernet.orderflow_proxy.config import Archive
from buildernet.orderflow_proxy.spool import Spool
from tests.support.archive_process import NODE, make_receipt, make_record

Answer = Callable[[bytes], web.Response]


class Archives:
    """An archive that answers as told and keeps what it acknowledged."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert verify_body(request.headers["X-Flashbots-Signature"], body) == NODE.address
        answer = self.answer(body)
        if answer.status == 200:
            self.bodies.append(body)
        return answer

    @property
    def numbers(self) -> list[int]:
        found = []
        for body in self.bodies:
            batch = parse_batch(body)
            found += [
                int.from_bytes(one.hash) for one in batch.records if isinstance(one, OrderRecord)
            ]
        return found


@asynccontextmanager
async def sending(
    tmp_path, answer: Answer, *, form: Form | None = None, count: int = 20
) -> AsyncIterator[tuple[Spool, Archives, ArchiveSender, CollectorRegistry]]:
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30)
    for number in range(count):
        spool.append(encode_record(make_record(number)))
    archives, registry = Archives(answer), CollectorRegistry()
    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/{path:.*}", archives.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        sender = ArchiveSender(
            spool,
            url=str(server.make_url("")),
            form=form or RecordsForm(linger_s=0.0),
            key=NODE,
            session=session,
            fresh=asyncio.Event(),
            registry=registry,
        )
        task = asyncio.create_task(sender.run())
        try:
            yield spool, archives, sender, registry
        finally:
            task.cancel()
    spool.close()


def _ok(_body: bytes) -> web.Response:
    return web.json_response({"stored": 1})


async def test_one_refused_record_is_found_and_given_up_alone(tmp_path):
    def picky(body: bytes) -> web.Response:
        numbers = [one.hash for one in parse_batch(body).records if isinstance(one, OrderRecord)]
        if (13).to_bytes(32) in numbers:
            return web.json_response({"code": 400, "message": "bad"}, status=400)
        return _ok(body)

    async with sending(tmp_path, picky) as (spool, archives, sender, registry):
        await sender.drain(20)
        assert spool.waiting == 0
    assert archives.numbers == [number for number in range(20) if number != 13]
    assert registry.get_sample_value("orderflow_proxy_archive_records_refused_total") == 1
    assert registry.get_sample_value("orderflow_proxy_archive_records_sent_total") == 19


async def test_a_position_that_a_full_disk_does_not_take_stops_no_delivery(tmp_path, caplog):
    folder = tmp_path / "spool"
    (folder / "acknowledged.new").mkdir(parents=True)  # nobody can write this file
    one_by_one = RecordsForm(linger_s=0.0, max_records=1)
    async with sending(tmp_path, _ok, form=one_by_one, count=5) as (spool, archives, sender, _):
        await sender.drain(20)
        assert spool.waiting == 0
        (folder / "acknowledged.new").rmdir()
    assert archives.numbers == list(range(5))
    assert "archive_position_not_saved" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=400, text="nginx"),
        web.json_response({"code": 403, "message": "unknown"}, status=403),
        web.json_response({"code": 503, "message": "full"}, status=503),
        web.Response(status=301, headers={"Location": "http://127.0.0.1:9/"}),
    ],
    ids=["foreign 400", "403", "503", "redirect"],
)
async def test_any_other_answer_is_waited_out(tmp_path, answer, monkeypatch):
    monkeypatch.setattr("buildernet.orderflow_proxy.archive_sender.FIRST_DELAY_S", 0.001)
    refusals = 3

    def at_first(body: bytes) -> web.Response:
        nonlocal refusals
        refusals -= 1
        if refusals < 0:
            return _ok(body)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async with sending(tmp_path, at_first) as (spool, archives, sender, registry):
        await sender.drain(20)
        assert spool.waiting == 0
    assert archives.numbers == list(range(20))
    assert registry.get_sample_value("orderflow_proxy_archive_rpc_errors_total") == 3


async def test_a_smaller_limit_on_the_way_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("buildernet.orderflow_proxy.archive_sender.FIRST_DELAY_S", 0.001)

    def small(body: bytes) -> web.Response:
        return web.Response(status=413) if len(parse_batch(body).records) > 3 else _ok(body)

    async with sending(tmp_path, small) as (spool, archives, sender, _):
        await sender.drain(20)
        assert spool.waiting == 0
    assert archives.numbers == list(range(20))


async def test_a_large_batch_is_sent(tmp_path):
    async with sending(tmp_path, _ok, count=0) as (spool, archives, sender, _):
        for number in range(4):
            params = json.dumps({"txs": ["0x" + "ab" * 400_000]}).encode()
            spool.append(encode_record(make_record(number, params=params)))
        sender._fresh.set()
        await sender.drain(20)
    assert archives.numbers == [0, 1, 2, 3]


async def test_order_events_are_what_the_go_proxy_sends(tmp_path):
    def reference(_body: bytes) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": 0, "result": None})

    form = OrderEventsForm(lambda: 100, linger_s=0.0)
    async with sending(tmp_path, reference, form=form, count=0) as (spool, archives, sender, _):
        spool.append(encode_record(make_record(0, params=b'{"txs":["0x02"]}')))
        spool.append(encode_record(make_receipt(1)))
        transaction = make_record(
            2,
            method="eth_sendRawTransaction",
            kind="transaction",
            params=b'"0x01"',
            head_block=99,
        )
        spool.append(encode_record(transaction))
        spool.append(encode_record(make_record(3, method="bid_subsidiseBlock", params=b"5")))
        sender._fresh.set()
        await sender.drain(20)
        assert spool.waiting == 0
    (body,) = archives.bodies
    call = json.loads(body)
    assert list(call) == ["method", "params", "id", "jsonrpc"]
    assert call["method"] == "flashbots_newOrderEvents"
    bundle, converted = call["params"][0]["orderEvents"]
    at = 1_790_000_000_000
    assert bundle == {
        "eth_sendBundle": {"params": {"txs": ["0x02"]}, "metadata": {"receivedAt": at}}
    }
    assert converted["mev_sendBundle"]["params"] == {
        "version": "v0.1",
        "inclusion": {"block": "0x63", "maxBlock": "0x68"},
        "body": [{"tx": "0x01", "canRevert": True}],
        "validity": {},
        "metadata": {"signer": "0x" + "11" * 20},
    }


@pytest.mark.parametrize(
    "endpoint", ["http://192.0.2.1:14893", "ftp://127.0.0.1", "http://", "archive.example"]
)
async def test_orders_never_leave_unencrypted_by_mistake(tmp_path, endpoint):
    config = Archive(endpoint=endpoint, spool_dir=tmp_path / "spool")
    with pytest.raises(ConfigError):
        async with archiving(config, key=NODE, head=lambda: None, registry=CollectorRegistry()):
            pass


async def test_a_spool_that_cannot_be_used_is_a_configuration_error(tmp_path):
    (tmp_path / "spool").write_bytes(b"a file")
    config = Archive(endpoint="http://127.0.0.1:1", spool_dir=tmp_path / "spool")
    with pytest.raises(ConfigError, match=r"archive\.spool_dir: cannot use the spool"):
        async with archiving(config, key=NODE, head=lambda: None, registry=CollectorRegistry()):
            pass
