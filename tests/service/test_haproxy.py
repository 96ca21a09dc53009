# SPDX-License-Identifier: MIT
"""A real HAProxy with the image's configuration: what passes, what is refused, and rotation."""

import asyncio
import json
import shutil
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.node.errors import CertificateError
from buildernet.node.haproxy import replace_certificate
from tests.support.haproxy import Front, haproxy, store
from tests.support.orderflow_delivery import deliver, make_brisk
from tests.support.orderflow_nodes import (
    Certificate,
    Node,
    make_certificate,
    make_order,
    running,
    until,
)
from tests.support.program import client_context

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")


@dataclass
class Site:
    front: Front
    users: Node
    peers: Node
    certificate: Certificate
    client: aiohttp.ClientSession
    folder: Path
    paths: list[str]
    """Of the users' requests that came through; without HAProxy's own checks."""

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.front.user}{path}"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    paths: list[str] = []

    async def say(request: web.Request) -> web.Response | None:
        if request.path == "/livez":
            return None
        paths.append(request.path)
        said = {"path": request.path, "forwarded": request.headers.getall("X-Forwarded-For", [])}
        return web.json_response(said)

    users, peers, certificate = Node(answer=say), Node(), make_certificate()
    async with (
        running(users),
        running(peers),
        haproxy(tmp_path, certificate, users=users.port, peers=peers.port) as front,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client_context(), limit=8)
        ) as client,
    ):
        yield Site(front, users, peers, certificate, client, tmp_path, paths)


def der(certificate: Certificate) -> bytes:
    return x509.load_pem_x509_certificate(certificate.pem.encode()).public_bytes(Encoding.DER)


async def shown_certificate(port: int) -> bytes:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
        return shown
    finally:
        writer.transport.abort()


async def test_users_request_passes_with_its_address_and_nobody_elses(site: Site) -> None:
    headers = {"X-Forwarded-For": "6.6.6.6"}
    async with site.client.post(site.url("/"), data=b"{}", headers=headers) as answer:
        assert await answer.json() == {"path": "/", "forwarded": ["127.0.0.1"]}
    async with site.client.get(site.url("/readyz")) as answer:
        assert (await answer.json())["path"] == "/readyz"


async def test_what_haproxy_answers_itself(site: Site) -> None:
    async with site.client.get(site.url("/livez")) as answer:
        assert (answer.status, await answer.text()) == (200, "OK\n")
    async with site.client.get(site.url("/")) as answer:
        assert answer.status == 200
    async with site.client.get(site.url("/metrics")) as answer:
        assert answer.status == 404
    plain = f"http://127.0.0.1:{site.front.redirect}/x"
    async with site.client.post(plain, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, plain.replace("http", "https"))
    async with site.client.get(f"http://127.0.0.1:{site.front.metrics}/metrics") as answer:
        assert "haproxy_frontend_http_requests_total" in await answer.text()
    assert site.paths == []


@pytest.mark.parametrize("side", ["user", "system"])
async def test_tls_1_2_is_refused(site: Site, side: str) -> None:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("127.0.0.1", getattr(site.front, side), ssl=context)
    assert await shown_certificate(getattr(site.front, side)) == der(site.certificate)


async def test_rotation_under_load_drops_no_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users and a peer keep sending while the certificate is replaced three times."""
    make_brisk(monkeypatch)
    certificates = [make_certificate() for _ in range(3)]
    source = site.folder / "attested-proxy"
    stop = asyncio.Event()
    statuses: list[int] = []

    async def user() -> None:
        while not stop.is_set():
            async with site.client.post(site.url("/"), data=b"{}") as answer:
                statuses.append(answer.status)
            await asyncio.sleep(0.02)  # stays below the limit

    pinned = "".join(one.pem for one in (site.certificate, *certificates))
    peer = {
        "name": "peer",
        "ip": f"127.0.0.1:{site.front.system}",
        "instance": {"tls_cert": pinned},
    }
    async with deliver(site.folder, peer) as (run, ledger, _):
        number = 0

        async def node() -> None:
            nonlocal number
            while not stop.is_set():
                run.delivery.submit(make_order(number))
                number += 1
                await asyncio.sleep(0.001)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(user())
            group.create_task(node())
            for certificate in certificates:
                await until(partial(has_grown, statuses, len(statuses) + 8))
                store(source, certificate)
                await rotate(source, site.front.admin_socket)
                for port in (site.front.user, site.front.system):
                    assert await shown_certificate(port) == der(certificate)
            stop.set()
        await until(lambda: ledger.waiting("peer") == 0)
        assert sorted(site.peers.numbers) == list(range(number))  # each once
        assert ledger.dropped("peer") == {}
        assert ledger.count("retries_total", peer="peer") == 0
        assert number > 50
    assert set(statuses) == {200}
    # Nobody had to connect anew.
    assert len(site.users.connections) <= 6  # and HAProxy's checks


def has_grown(statuses: list[int], beyond: int) -> bool:
    return len(statuses) > beyond


async def rotate(folder: Path, admin_socket: Path) -> None:
    """Run the command that the unit runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "buildernet.node",
        "haproxy-certificate",
        f"--folder={folder}",
        f"--admin-socket={admin_socket}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    assert out.startswith(b"replaced /")


async def test_request_under_way_during_a_rotation_is_answered(site: Site) -> None:
    say, begun, may_end = site.users.answer, asyncio.Event(), asyncio.Event()

    async def say_late(request: web.Request) -> web.Response | None:
        if request.path == "/slow":
            begun.set()
            await may_end.wait()
        return None if say is None else await say(request)

    site.users.answer = say_late
    source, certificate = site.folder / "attested-proxy", make_certificate()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.front.user, ssl=client_context()
    )
    try:
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(20):
            await begun.wait()
        store(source, certificate)
        await rotate(source, site.front.admin_socket)
        assert await shown_certificate(site.front.user) == der(certificate)
        may_end.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    finally:
        writer.transport.abort()


async def test_certificate_without_its_key_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buildernet.node.haproxy.PAIR_TIMEOUT_S", 0.2)
    source, one, other = site.folder / "attested-proxy", make_certificate(), make_certificate()
    store(source, Certificate(one.pem, other.key_pem))
    with pytest.raises(CertificateError, match="do not fit"):
        await asyncio.to_thread(replace_certificate, source, admin_socket=site.front.admin_socket)
    assert await shown_certificate(site.front.user) == der(site.certificate)


async def test_backend_that_is_down_is_said_by_a_status(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    async with haproxy(folder, site.certificate, users=1, peers=1) as front:
        url = f"https://127.0.0.1:{front.user}/"
        async with site.client.post(url, data=json.dumps({})) as answer:
            assert answer.status == 503
