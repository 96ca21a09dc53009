# SPDX-License-Identifier: MIT
"""`orderflow-proxy sender` as a process: plain HTTP in, signed orders at every node of the hub."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from buildernet.ethereum.signature import SigningKey
from tests.support.orderflow_nodes import (
    DEADLINE_S,
    Node,
    make_certificate,
    running,
    until,
)

pytestmark = pytest.mark.process

KEY = "0x" + "42" * 32


class Hub:
    """The internal list of builders."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        return web.json_response(self.entries)


@asynccontextmanager
async def sender(*arguments: str, **environment: str) -> AsyncIterator[tuple[str, str]]:
    """Run it; yields the URLs of orders and of metrics."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "buildernet.orderflow_proxy",
        "sender",
        "--listen-address=127.0.0.1:0",
        "--metrics-addr=127.0.0.1:0",
        "--log-json=false",
        "--log-service=sender",
        "--log-uid",
        "--pprof=true",
        *arguments,
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    ports: list[str] = []
    seen = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while len(ports) < 2:
                line = (await process.stderr.readline()).decode()
                seen.append(line)
                assert line, seen
                ports += re.findall(r"listening address=\S*:(\d+)", line)
        yield f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[0]}"
        process.terminate()
        _, rest = await process.communicate()
        assert process.returncode == 0, rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def bundle(number: int, **fields: Any) -> dict[str, Any]:
    params = {"number": number, "txs": ["0x01"], "blockNumber": "0x64", **fields}
    return {"jsonrpc": "2.0", "id": number, "method": "eth_sendBundle", "params": [params]}


async def test_orders_reach_every_node_signed_by_the_sender() -> None:
    hub = Hub()
    certificate = make_certificate()
    bodies: list[Any] = []

    async def keep(request: web.Request) -> None:
        bodies.append(json.loads(await request.read()))

    async with (
        running(Node(answer=hub.answer)) as hub_node,
        running(Node(), certificate=certificate) as ours,
        running(Node(sharing=False, answer=keep), certificate=certificate) as other,
        aiohttp.ClientSession() as client,
    ):
        entries: list[dict[str, Any]] = [
            {"name": "broken", "ip": 7},
            {
                "name": "ours",
                "ip": f"127.0.0.1:{ours.port}",
                "instance": {"tls_cert": certificate.pem},
            },
        ]
        async with sender(
            f"--builder-confighub-endpoint=http://127.0.0.1:{hub_node.port}",
            ORDERFLOW_SIGNER_KEY=KEY,
        ) as (url, metrics):
            async with client.post(url, json=bundle(0)) as answer:  # nobody would get it
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "1"
                error = (await answer.json())["error"]
                assert error["message"] == "no node is known, try again"
            async with client.get(f"{metrics}/metrics") as answer:
                assert "orderflow_proxy_sender_orders_refused_total 1.0" in await answer.text()
            hub.entries = entries

            async def peers() -> bool:
                async with client.post(f"{metrics}/update_peers"):
                    pass
                async with client.get(f"{url}/readyz") as answer:
                    return answer.status == 200

            async with asyncio.timeout(DEADLINE_S):
                while not await peers():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with client.post(url, json=bundle(1, minTimestamp=0, maxTimestamp=9)) as answer:
                assert await answer.json() == {"jsonrpc": "2.0", "id": 1, "result": None}
            await until(lambda: ours.numbers == [1])
            hub.entries.append(
                {
                    "name": "other",
                    "ip": f"127.0.0.1:{other.port}",
                    "orderflow_proxy": {"tls_cert": certificate.pem},
                }
            )
            asked = len(hub.paths)
            async with client.post(f"{metrics}/update_peers") as answer:
                assert answer.status == 200
            await until(lambda: len(hub.paths) > asked)
            batch = [
                bundle(2, version="v2", minTimestamp=0),
                {"jsonrpc": "2.0", "method": "x", "params": [1]},
            ]
            async with asyncio.timeout(DEADLINE_S):
                while not other.numbers:  # the list is taken a moment after it was asked for
                    async with client.post(url, json=batch) as answer:
                        first, second = await answer.json()
            assert first["result"] is None
            assert second["error"]["code"] == -32601
            assert other.headers[0]["X-BuilderNet-Priority"] == "medium"
            assert ours.signers == other.signers == {SigningKey.parse(KEY).address}
            (param,) = next(body for body in bodies if "method" in body)["params"]
            assert param == {"number": 2, "txs": ["0x01"], "blockNumber": "0x64", "version": "v2"}
        assert set(hub.paths) - {"/livez"} == {"/api/internal/l1-builder/v1/builders"}


@pytest.mark.parametrize(
    ("environment", "arguments", "message"),
    [
        ({}, [], "there is no key"),
        ({}, [f"--orderflow-signer-key={KEY}"], "shows the key to everybody"),
        ({}, ["--orderflow-signer-key", KEY, "--log-uid"], "shows the key to everybody"),
        (
            {
                "ORDERFLOW_SIGNER_KEY": "0xfb5ad18432422a84514f71d63b45edf5"
                "1165d33bef9c2bd60957a48d4c4cb68e"
            },
            [],
            "everybody knows",
        ),
        ({"ORDERFLOW_SIGNER_KEY": "0x1234"}, [], "a signing key is 64 hexadecimal digits"),
    ],
)
async def test_sender_without_a_key_of_its_own_does_not_start(
    environment: dict[str, str], arguments: list[str], message: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "buildernet.orderflow_proxy",
        "sender",
        *arguments,
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode in (1, 2)
    assert message in err.decode()
    assert "Traceback" not in err.decode()
    for secret in (*environment.values(), KEY):
        assert secret not in err.decode()
