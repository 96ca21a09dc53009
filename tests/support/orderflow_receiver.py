# SPDX-License-Identifier: MIT
"""A receiver on real sockets whose builder, archive and peers are lists."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientSession

from buildernet.ethereum.address import Address
from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.net.address import ListenAddress
from buildernet.net.server import listening
from buildernet.orderflow_proxy.app import Dependencies, build_app
from buildernet.orderflow_proxy.config import Limits, ReceiverConfig
from buildernet.orderflow_proxy.order import (
    ArchiveFullError,
    DeliveryFullError,
    NotReadyError,
    Order,
    UnknownPeerError,
)
from tests.support.orders import PEER, USER, encode_specified, make_specified

FLASHBOTS = SigningKey(b"\x09" * 32)
STRANGER = SigningKey(b"\x0a" * 32)
LOOPBACK = ListenAddress("127.0.0.1", 0)


@dataclass(slots=True)
class Neighbours:
    """Delivery, recorder and peers in one: what came, and what shall fail."""

    orders: list[Order] = field(default_factory=list)
    records: list[Order] = field(default_factory=list)
    full: bool = False
    room: int | None = None
    """How many orders the builder's queue takes in all."""
    not_ready: str = ""
    no_room: bool = False

    def submit(self, order: Order) -> None:
        if self.full or (self.room is not None and len(self.orders) >= self.room):
            raise DeliveryFullError("the builder's queue is full")
        self.orders.append(order)

    def check_ready(self) -> None:
        if self.not_ready:
            raise NotReadyError(self.not_ready)

    def check_room(self) -> None:
        if self.no_room:
            raise ArchiveFullError("Disk full")

    def record(self, order: Order) -> None:
        self.records.append(order)

    def authorise(self, signer: Address) -> str:
        names = {PEER.address: "other_node", FLASHBOTS.address: "flashbots"}
        if signer not in names:
            raise UnknownPeerError(f"{signer} is nobody")
        return names[signer]


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, int, str]:
        """HTTP status, code, message."""
        return self.status, self.json["error"]["code"], self.json["error"]["message"]


@dataclass(slots=True)
class Receiver:
    """A running receiver."""

    neighbours: Neighbours
    user: str
    system: str
    metrics: str
    client: ClientSession

    async def post(
        self,
        body: bytes,
        *,
        key: SigningKey | None = USER,
        path: str = "/",
        system: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a body, signed unless `key` is None."""
        all_headers = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            all_headers.setdefault("X-Flashbots-Signature", sign_body(key, body))
        url = (self.system if system else self.user) + path
        async with self.client.post(url, data=io.BytesIO(body), headers=all_headers) as response:
            return Answer(response.status, await response.read(), dict(response.headers))

    async def call(self, method: str, param: object, **more: Any) -> Answer:
        """Call a method as a user, or with `system` and `key` as somebody else."""
        return await self.post(request_body(method, param), **more)

    async def get(self, path: str, *, system: bool = False) -> Answer:
        url = (self.system if system else self.user) + path
        async with self.client.get(url) as response:
            return Answer(response.status, await response.read(), dict(response.headers))

    async def metric(self, start: str) -> float:
        """The value of the series that starts so; 0 when there is none."""
        async with self.client.get(self.metrics + "/metrics") as response:
            for line in (await response.text()).splitlines():
                if line.startswith(start):
                    return float(line.rpartition(" ")[2])
        return 0.0


def request_body(method: str, param: object, *, request_id: object = 1) -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": request_id, "method": method, "params": [param]}
    ).encode()


def raw_transaction(number: int = 0, **fields: Any) -> str:
    """A valid transaction; numbers differ."""
    return "0x" + encode_specified(make_specified(2, value=_u256(number), **fields)).hex()


def bundle(number: int = 0, **members: Any) -> dict[str, Any]:
    """A valid bundle of one transaction."""
    return {"txs": [raw_transaction(number)], "blockNumber": "0x1312d00", **members}


def limits(**changed: Any) -> ReceiverConfig:
    """Settings with other limits."""
    return ReceiverConfig(limits=replace(Limits(), **changed))


@asynccontextmanager
async def receiving(
    config: ReceiverConfig | None = None, neighbours: Neighbours | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver while the context is open."""
    near = neighbours or Neighbours()
    deployment = build_app(config or ReceiverConfig(), Dependencies(near, near, near))
    async with (
        listening(deployment.user, LOOPBACK) as user,
        listening(deployment.system, LOOPBACK) as system,
        listening(deployment.metrics, LOOPBACK) as metrics,
        ClientSession() as client,
    ):
        yield Receiver(near, f"http://{user}", f"http://{system}", f"http://{metrics}", client)


def _u256(number: int) -> Any:
    from ethereum_types.numeric import U256

    return U256(number)
