# SPDX-License-Identifier: MIT
"""Two receivers as processes: an order from a user reaches both builders once; life and death."""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.orderflow_proxy import cli
from buildernet.orderflow_proxy.config import Builder, Evidence, Listen, Peering, ReceiverConfig
from buildernet.orderflow_proxy.running import run_receiver
from tests.support.orderflow_nodes import make_certificate, until
from tests.support.orderflow_receiver import bundle, raw_transaction, request_body
from tests.support.orders import USER
from tests.support.program import free_port

pytestmark = pytest.mark.process

START_S = 30.0
STOP_S = 10.0


@asynccontextmanager
async def builder(received: list[dict[str, Any]]) -> AsyncIterator[str]:
    """A builder that keeps what it gets."""

    async def take(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.json_response({"jsonrpc": "2.0", "id": 0, "result": None})

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def receiver(*arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """A receiver started as systemd starts it; yields it and its user address."""
    command = (sys.executable, "-m", "buildernet.orderflow_proxy", "receiver", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE, limit=1 << 20)
    assert process.stderr is not None
    try:
        addresses: list[str] = []
        async with asyncio.timeout(START_S):
            while len(addresses) < 2:  # system first, users last
                line = await process.stderr.readline()
                assert line, "it ended"
                message = json.loads(line)["msg"]
                if message.startswith("listening address="):
                    addresses.append(message.partition("=")[2])
        yield process, f"http://{addresses[1]}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def post(session: ClientSession, url: str, body: bytes) -> Any:
    headers = {"Content-Type": "application/json", "X-Flashbots-Signature": sign_body(USER, body)}
    async with session.post(url, data=body, headers=headers) as response:
        return await response.json()


def write_config(folder: Path) -> str:
    file = folder / "c.toml"
    file.write_text(f"[peering]\naddress_file = '{folder}/address'\n")
    return str(file)


def write_key(path: Path, key: bytes) -> str:
    path.write_text(key.hex())
    path.chmod(0o600)
    return str(path)


async def test_an_order_reaches_both_builders_once_and_a_signal_stops_in_time(tmp_path):
    keys = [b"\x21" * 32, b"\x22" * 32]
    ports = [free_port(), free_port()]
    peers = [
        {
            "name": f"node_{at}",
            "ip": f"127.0.0.1:{port}",
            "plain_http": True,
            "orderflow_proxy": {"ecdsa_pubkey_address": str(SigningKey(key).address)},
        }
        for at, (key, port) in enumerate(zip(keys, ports, strict=True))
    ]
    (tmp_path / "peers.json").write_text(json.dumps(peers))
    received: list[list[dict[str, Any]]] = [[], []]
    async with AsyncExitStack() as stack, ClientSession() as session:
        running = []
        for at, key in enumerate(keys):
            endpoint = await stack.enter_async_context(builder(received[at]))
            flags = {
                "--user-listen-addr": "127.0.0.1:0",
                "--system-listen-addr": f"127.0.0.1:{ports[at]}",
                "--metrics-addr": "",
                "--builder-endpoint": endpoint,
                "--rpc-endpoint": "",
                "--peers-file": str(tmp_path / "peers.json"),
                "--config": write_config(tmp_path),
                "--orderflow-signer-key-file": write_key(tmp_path / f"key{at}", key),
            }
            given = [f"{name}={value}" for name, value in flags.items()]
            running.append(await stack.enter_async_context(receiver(*given)))
        (process, first), (_, second) = running
        body = request_body("eth_sendBundle", bundle())
        answers = [await post(session, first, body) for _ in range(3)]
        assert answers[0]["result"]["bundleHash"]
        assert answers == [answers[0]] * 3
        await post(session, second, request_body("eth_sendRawTransaction", raw_transaction(7)))
        await until(lambda: len(received[0]) == len(received[1]) == 2)
        for one in received:
            methods = sorted(order["method"] for order in one)
            assert methods == ["eth_sendBundle", "eth_sendRawTransaction"]
        sent = [
            next(order["params"] for order in one if order["method"] == "eth_sendBundle")
            for one in received
        ]
        assert sent[0] == sent[1]
        assert sent[0][0]["signingAddress"] == USER.address.hex()
        assert (tmp_path / "address").read_text() == SigningKey(keys[1]).address.hex() + "\n"
        slow = [begin_upload(int(first.rpartition(":")[2])), begin_upload(ports[0])]
        await asyncio.gather(*(stack.enter_async_context(one) for one in slow))
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S):
            assert await process.wait() == 0


@asynccontextmanager
async def begin_upload(port: int) -> AsyncIterator[None]:
    """A request whose body never ends, which must not hold up the end; nor may one on each side."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nx")
    await writer.drain()
    try:
        yield
    finally:
        writer.close()


async def test_a_hub_that_does_not_answer_keeps_users_alone_waiting():
    """Health, metrics and peers waited for the first list too."""
    user, system, metrics = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        config = ReceiverConfig(
            listen=Listen(user_addr=user, system_addr=system, metrics_addr=metrics),
            builder=Builder(endpoint="", rpc_endpoint=""),
            peering=Peering(hub_endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}"),
            evidence=Evidence(dangerously_trust_hub=True),
        )
        running = asyncio.create_task(run_receiver(config))
        async with ClientSession() as session, asyncio.timeout(START_S):
            for url in (f"http://{metrics}/metrics", f"http://{system}/livez"):
                while True:
                    with suppress(ClientError):
                        async with session.get(url) as answer:
                            assert answer.status == 200
                            break
            with pytest.raises(ClientError):
                await session.get(f"http://{user}/livez")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_port_in_use_ends_with_1_and_a_hint(capsys, monkeypatch, tmp_path):
    """With an archive it printed seventy lines: what runs beside the listeners hid the cause."""
    monkeypatch.setattr("buildernet.base.logs.configure", lambda **_: None)
    own = make_certificate()
    for name, text in (("certificate", own.pem), ("private-key", own.key_pem)):
        (tmp_path / name).write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = ["--user-listen-addr", address, "--system-listen-addr=127.0.0.1:0"]
        quiet = ["--metrics-addr=", "--builder-endpoint=", "--rpc-endpoint="]
        archive = ["--orderflow-archive-endpoint=http://127.0.0.1:1"]
        archive += [f"--archive-spool-dir={tmp_path / 'spool'}"]
        tls = [f"--{name}-file={tmp_path / name}" for name in ("certificate", "private-key")]
        assert cli.main(["receiver", *flags, *quiet, *archive, *tls]) == 1
    assert f"cannot listen on {address}" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--orderflow-signer-key-file", "--certificate-file"])
def test_a_missing_file_ends_with_2(capsys, monkeypatch, flag):
    monkeypatch.setattr("buildernet.base.logs.configure", lambda **_: None)
    more = ["--private-key-file=/nowhere"] if flag == "--certificate-file" else []
    assert cli.main(["receiver", f"{flag}=/nowhere", *more]) == 2
    assert "cannot" in capsys.readouterr().err
