# SPDX-License-Identifier: MIT
"""Bodies: what they are declared as, how large, compressed, slow and heavy they may be."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from buildernet.ethereum.signature import sign_body
from buildernet.orderflow_proxy.bodies import FREE_BYTES, BodyBudget
from buildernet.orderflow_proxy.orders.parser import OrderParser
from tests.support.orderflow_receiver import (
    Receiver,
    bundle,
    limits,
    raw_transaction,
    receiving,
    request_body,
)
from tests.support.orders import USER


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_content_types(receiver):
    body = request_body("eth_sendBundle", bundle())
    for given in ("application/json; charset=utf-8", "Application/JSON"):
        assert (await receiver.post(body, headers={"Content-Type": given})).status == 200
    for given in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await receiver.post(body, headers={"Content-Type": given})
        assert answer.error[:2] == (415, -32600)


async def test_compressed_bodies_need_leave():
    body = request_body("eth_sendBundle", bundle())
    headers = {"Content-Encoding": "gzip", "X-Flashbots-Signature": sign_body(USER, body)}
    packed = gzip.compress(body)
    async with receiving() as receiver:
        assert (await receiver.post(packed, headers=headers)).error[:2] == (415, -32600)
    async with receiving(limits(accept_gzip=True)) as receiver:
        assert (await receiver.post(packed, headers=headers)).status == 200
        bomb = gzip.compress(b" " * (11 * 1024 * 1024))
        assert (await receiver.post(bomb, headers=headers)).error[:2] == (413, -32600)
        for broken in (body, packed[:-1], packed[:20], b"", packed + b"x", packed + packed):
            answer = await receiver.post(broken, headers=headers)
            assert answer.error[:2] == (400, -32600), broken
        for coding in ("br", "zstd", "deflate", "gzip, gzip"):
            answer = await receiver.post(body, headers={**headers, "Content-Encoding": coding})
            assert answer.error[:2] == (415, -32600), coding
        assert (await receiver.get("/livez")).status == 200


async def test_a_body_of_broken_chunks_is_refused(receiver, caplog):
    host, port = receiver.user.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head + b"2\r\n{}\r\n")
    await writer.drain()
    writer.write(b"zz\r\n")
    async with asyncio.timeout(10):
        assert b" 400 " in await reader.readline()
    writer.close()
    assert "Traceback" not in caplog.text


async def test_bodies_under_way_share_one_budget(monkeypatch):
    """Sixty uploads that nobody had signed took 600 MiB."""
    monkeypatch.setattr(BodyBudget.__init__, "__defaults__", (2 * FREE_BYTES - 50,))
    body = request_body("eth_sendBundle", {"txs": ["0x" + "00" * FREE_BYTES]})

    async def stop_short() -> AsyncIterator[bytes]:
        yield body[: 2 * FREE_BYTES - 100]
        await asyncio.sleep(60)

    async with receiving() as receiver:
        url, headers = receiver.user, {"Content-Type": "application/json"}
        upload = asyncio.create_task(receiver.client.post(url, data=stop_short(), headers=headers))
        async with asyncio.timeout(10):
            while (answer := await receiver.post(body)).status != 503:
                assert answer.status == 400
        assert answer.error[:2] == (503, -32603)
        assert answer.headers["Retry-After"] == "1"
        assert (await receiver.post(body, system=True)).status == 503
        assert (await receiver.call("eth_sendBundle", bundle())).status == 200
        upload.cancel()
        async with asyncio.timeout(10):
            while (await receiver.post(body)).status != 400:
                pass
        for _ in range(3):  # refused and answered ones gave back what they took
            assert (await receiver.post(body)).status == 400


async def test_a_large_body_is_refused_with_and_without_its_length():
    async with receiving(limits(max_body_bytes=2000)) as receiver:
        body = request_body("eth_sendBundle", {"txs": ["0x" + "00" * 2000]})
        answer = await receiver.post(body)
        assert answer.error == (413, -32600, "request body is too big, max size: 2000")

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(body), 100):
                yield body[at : at + 100]

        headers = {"Content-Type": "application/json", "X-Flashbots-Signature": "x"}
        async with receiver.client.post(receiver.user, data=pieces(), headers=headers) as response:
            assert response.status == 413


@pytest.mark.parametrize("works", [True, False])
async def test_a_large_order_that_takes_long_to_parse_holds_nobody_up(receiver, monkeypatch, works):
    """A body of access lists held every other request for half a second."""
    go_on, parse = threading.Event(), OrderParser.parse

    def parse_slowly(self: OrderParser, method: str, params: list[bytes], request: Any) -> Any:
        if len(params[0]) > 128 * 1024:
            assert go_on.wait(20)
        return parse(self, method, params, request)

    monkeypatch.setattr(OrderParser, "parse", parse_slowly)
    large = [raw_transaction(n, data=bytes(4000)) for n in range(20)]
    param = {"txs": large if works else [*large, "0x00"], "blockNumber": "0x1312d00"}
    answer = asyncio.create_task(receiver.call("eth_sendBundle", param))
    try:
        for number in range(3):
            assert (await receiver.call("eth_sendBundle", bundle(number))).status == 200
        assert not answer.done()
    finally:
        go_on.set()
    assert (await answer).status == (200 if works else 400)
    assert len(receiver.neighbours.orders) == 3 + works
    outcome = "accepted" if works else "invalid"
    counted = f'orders_total{{method="eth_sendBundle",outcome="{outcome}",source="user"}}'
    assert await receiver.metric("orderflow_proxy_" + counted) == (4 if works else 1)


async def test_a_large_order_that_a_newer_one_overtook_is_out_of_date(receiver, monkeypatch):
    """Replacements go by the time of arrival, whichever was parsed first."""
    go_on, parsing, parse = threading.Event(), asyncio.Event(), OrderParser.parse
    loop = asyncio.get_running_loop()

    def parse_slowly(self: OrderParser, method: str, params: list[bytes], request: Any) -> Any:
        if len(params[0]) > 128 * 1024:
            loop.call_soon_threadsafe(parsing.set)
            assert go_on.wait(20)
        return parse(self, method, params, request)

    monkeypatch.setattr(OrderParser, "parse", parse_slowly)
    slot = {"replacementUuid": "3c1a0b7e-0000-4000-8000-000000000001", "blockNumber": "0x1312d00"}
    large = [raw_transaction(n, data=bytes(4000)) for n in range(20)]
    older = asyncio.create_task(receiver.call("eth_sendBundle", {"txs": large, **slot}))
    try:
        async with asyncio.timeout(20):
            await parsing.wait()
        newer = await receiver.call("eth_sendBundle", {"txs": [raw_transaction(1)], **slot})
        assert newer.status == 200
    finally:
        go_on.set()
    assert (await older).error[:2] == (400, -32602)
    assert len(receiver.neighbours.orders) == 1
