# SPDX-License-Identifier: MIT
"""A builder-hub in this process, with every listener on loopback, and what instances send it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Final

import bcrypt
from aiohttp import ClientSession, encode_basic_auth

from buildernet.attestation.verify import TrustAnchors
from buildernet.builder_hub.app import Applications, build_apps
from buildernet.builder_hub.config import AdminConfig, AttestationConfig, HubConfig
from buildernet.builder_hub.database import Database, parse_database_url
from buildernet.builder_hub.evidence import EvidenceVerifier
from buildernet.builder_hub.hub import Hub
from buildernet.builder_hub.metrics import HubMetrics
from buildernet.builder_hub.migrate import migrate
from buildernet.builder_hub.sealing import Sealer, parse_keys
from buildernet.net.address import ListenAddress
from buildernet.net.server import listening
from tests.support.minted_chain import shared_chain
from tests.support.minted_pki import NOW

PASSWORD: Final = "correct horse"
PASSWORD_HASH: Final = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
AUTHORIZED: Final = {"Authorization": encode_basic_auth("admin", PASSWORD)}
LOOPBACK: Final = ListenAddress("127.0.0.1", 0)

IP: Final = "1.2.3.4"
MRTD: Final = "11" * 48
RTMR1: Final = "21" * 48
RTMR2: Final = "22" * 48
REGISTERS: Final = {"0": MRTD, "1": "20" * 48, "2": RTMR1, "3": RTMR2, "4": "00" * 48}
"""What `minted_chain.Domain` has by default."""

MEASUREMENT: Final = {
    "measurement_id": "image-1",
    "attestation_type": "dcap-tdx",
    "measurements": {"0": {"expected": MRTD}, "2": {"expected_any": ["ee" * 48, RTMR1]}},
}

API: Final = "/api/l1-builder/v1"
ADMIN: Final = "/api/admin/v1"

KEYS: Final = f"second {'02' * 32}\nfirst {'01' * 32}\n"


def instance_headers(
    *,
    ip: str = IP,
    kind: str = "qemu-tdx",
    registers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return what the attested proxy says about a caller."""
    values = REGISTERS if registers is None else registers
    return {
        "X-Flashbots-Attestation-Type": kind,
        "X-Flashbots-Measurement": json.dumps(values),
        "X-Forwarded-For": f"9.9.9.9, {ip}",
    }


@dataclass
class RunningHub:
    """A hub that listens."""

    hub: Hub
    apps: Applications
    instance: ClientSession
    internal: ClientSession
    admin: ClientSession
    metrics: ClientSession
    admin_port: int
    instance_port: int

    async def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        """Send something to the admin API."""
        data = body if isinstance(body, bytes | BytesIO) else json.dumps(body).encode()
        async with self.admin.post(ADMIN + path, data=data) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return json.loads(text) if text else None

    async def get(self, path: str, *, status: int = 200) -> Any:
        """Ask the admin API."""
        async with self.admin.get(ADMIN + path) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return json.loads(text)

    async def delete(self, path: str, *, status: int = 200) -> None:
        """Delete something by the admin API."""
        async with self.admin.delete(ADMIN + path) as answer:
            assert answer.status == status, await answer.text()

    async def ask(
        self, path: str, *, headers: Mapping[str, str] | None = None, status: int = 200
    ) -> Any:
        """Ask the instance API as a node whose image is known."""
        headers = instance_headers() if headers is None else headers
        async with self.instance.get(API + path, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return json.loads(text) if text else None

    async def send(
        self,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Any:
        """Send something to the instance API as a node."""
        data = body if isinstance(body, bytes | BytesIO) else json.dumps(body).encode()
        headers = {**instance_headers(), **(headers or {})}
        async with self.instance.post(API + path, data=data, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return json.loads(text) if text else None

    async def add_measurement(self, measurement: Mapping[str, Any] = MEASUREMENT) -> None:
        """Add a measurement and enable it."""
        await self.post("/measurements", measurement)
        await self.post(
            f"/measurements/activation/{measurement['measurement_id']}", {"enabled": True}
        )

    async def add_builder(
        self, name: str = "alpha", *, ip: str = IP, network: str = "production"
    ) -> None:
        """Add a builder, configure and enable it."""
        builder = {"name": name, "ip_address": ip, "dns_name": f"{name}.x", "network": network}
        await self.post("/builders", builder)
        await self.post(f"/builders/configuration/{name}", {"instance_name": name})
        await self.post(f"/builders/activation/{name}", {"enabled": True})


def make_config(**attestation: Any) -> HubConfig:
    """Return settings with a password and the reference's leniency switched on or off."""
    return HubConfig(
        drain_seconds=0,
        admin=AdminConfig(basic_password_bcrypt=PASSWORD_HASH),
        attestation=AttestationConfig(**attestation),
    )


def minted_verifier() -> EvidenceVerifier:
    """Return a verifier that believes the simulated chain alone."""
    chain = shared_chain()
    collateral = chain.collateral()

    async def find(_quote: bytes) -> Any:
        return collateral

    return EvidenceVerifier(find_collateral=find, roots=TrustAnchors((chain.root.der,)))


def at_minting() -> float:
    """The time at which the simulated chain is valid."""
    return NOW.timestamp()


@asynccontextmanager
async def running_hub(
    url: str,
    config: HubConfig | None = None,
    *,
    clock: Callable[[], float] = at_minting,
    sealer: Sealer | None = None,
    migrated: bool = False,
) -> AsyncIterator[RunningHub]:
    """Run a hub on a database."""
    database = Database(parse_database_url(url))
    config = config or make_config()
    try:
        if not migrated:
            await migrate(database)
        hub = Hub(
            config,
            database,
            sealer or parse_keys(KEYS),
            minted_verifier(),
            HubMetrics(),
            clock,
        )
        apps = build_apps(hub)
        async with AsyncExitStack() as stack:
            sessions, ports = [], []
            for app in (apps.instance, apps.internal, apps.admin, apps.metrics):
                bound = await stack.enter_async_context(listening(app, LOOPBACK))
                headers = AUTHORIZED if app is apps.admin else {}
                session = ClientSession(f"http://127.0.0.1:{bound.port}", headers=headers)
                sessions.append(await stack.enter_async_context(session))
                ports.append(bound.port)
            instance, internal, admin, metrics = sessions
            yield RunningHub(hub, apps, instance, internal, admin, metrics, ports[2], ports[0])
    finally:
        await database.close()


def with_admin(config: HubConfig, **changes: Any) -> HubConfig:
    """Return settings with another table `[admin]`."""
    return replace(config, admin=replace(config.admin, **changes))


def prepare(url: str) -> None:
    """Bring a database to the newest schema, outside any loop."""

    async def run() -> None:
        database = Database(parse_database_url(url))
        try:
            await migrate(database)
        finally:
            await database.close()

    asyncio.run(run())
