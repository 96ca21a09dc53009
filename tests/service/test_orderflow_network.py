# SPDX-License-Identifier: MIT
"""Two real nodes in one process: a user's bundles go to one and reach both builders once."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.net.address import ListenAddress
from buildernet.net.metrics import HttpMetrics
from buildernet.net.server import listening
from buildernet.orderflow_proxy.app import SERVICE, Dependencies, build_app
from buildernet.orderflow_proxy.config import Limits, ReceiverConfig
from buildernet.orderflow_proxy.delivery import DeliverySettings, Running, delivering
from tests.support.orderflow_delivery import BUILDER, Ledger, make_brisk
from tests.support.orderflow_nodes import (
    Certificate,
    Node,
    make_certificate,
    running,
    until,
    write_peers,
)
from tests.support.orderflow_receiver import Neighbours, bundle, request_body
from tests.support.orders import USER

CONFIG = ReceiverConfig(limits=Limits(orders_per_second=0))


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    make_brisk(monkeypatch)


class Builder(Node):
    """Keeps the parameters that came."""

    def __init__(self) -> None:
        super().__init__(answer=self._keep)
        self.taken: list[Any] = []

    async def _keep(self, request: web.Request) -> web.Response | None:
        if request.method == "POST":
            self.taken.append(json.loads(await request.read())["params"][0])
            return web.json_response({"jsonrpc": "2.0", "id": 0, "result": None})
        return None


@dataclass
class Site:
    builder: Builder
    run: Running
    ledger: Ledger
    http: HttpMetrics
    user: int
    system: int


@asynccontextmanager
async def node(
    folder: Path,
    key: SigningKey,
    peers: list[dict[str, Any]],
    *,
    certificate: Certificate | None = None,
) -> AsyncIterator[Site]:
    http, builder = HttpMetrics(SERVICE), Builder()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(builder))
        settings = DeliverySettings(
            builder_endpoint=f"http://127.0.0.1:{builder.port}",
            static_peers=write_peers(folder / f"{key.address}.json", peers),
        )
        run = await stack.enter_async_context(delivering(settings, key=key, registry=http.registry))
        apps = build_app(CONFIG, Dependencies(run.delivery, Neighbours(), run.peers, http=http))
        tls = None if certificate is None else certificate.server_context()
        anywhere = ListenAddress("127.0.0.1", 0)
        user = await stack.enter_async_context(listening(apps.user, anywhere))
        system = await stack.enter_async_context(listening(apps.system, anywhere, tls=tls))
        yield Site(builder, run, Ledger(http.registry), http, user.port, system.port)


async def test_users_bundles_reach_both_builders_once(tmp_path: Path) -> None:
    one, two, certificate = SigningKey(b"\x21" * 32), SigningKey(b"\x22" * 32), make_certificate()
    known = {"name": "one", "ip": "127.0.0.1:1", "plain_http": True}
    known["orderflow_proxy"] = {"ecdsa_pubkey_address": one.address.hex()}
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(
            node(tmp_path, two, [known], certificate=certificate)
        )
        peer = {
            "name": "two",
            "ip": f"127.0.0.1:{second.system}",
            "instance": {"tls_cert": certificate.pem},
        }
        first = await stack.enter_async_context(node(tmp_path, one, [peer]))
        client = await stack.enter_async_context(ClientSession())
        count = 60
        for number in range(count):
            body = request_body("eth_sendBundle", bundle(number))
            for _ in range(2):  # the second is a duplicate
                headers = {
                    "X-Flashbots-Signature": sign_body(USER, body),
                    "Content-Type": "application/json",
                }
                url = f"http://127.0.0.1:{first.user}/"
                async with client.post(url, data=body, headers=headers) as answer:
                    assert answer.status == 200, await answer.text()
        await until(lambda: second.ledger.delivered(BUILDER) == count)
        await until(lambda: first.ledger.waiting("two") == 0)
        assert len(first.builder.taken) == len(second.builder.taken) == count
        assert sorted(map(json.dumps, first.builder.taken)) == sorted(
            map(json.dumps, second.builder.taken)
        )
        assert all(one["signingAddress"] == USER.address.hex() for one in second.builder.taken)
        assert first.ledger.delivered("two") == count
        assert first.ledger.dropped("two") == second.ledger.dropped(BUILDER) == {}
        assert second.ledger.accepted("one") == 0  # one hop
