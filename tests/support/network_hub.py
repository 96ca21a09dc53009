# SPDX-License-Identifier: MIT
"""The hub of a network: builder-hub on PostgreSQL, and the attested-proxy that says who calls."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.builder_hub import ADMIN, KEYS
from tests.support.hub_identity import HubIdentity
from tests.support.network_trust import ROOT_OF_TRUST, Image, Trust
from tests.support.postgres import Postgres
from tests.support.program import Program, ProgramError, ask, free_port, listens

_LISTENERS: Final = ("listen", "admin", "internal", "metrics")


@dataclass
class Hub:
    """All of it; nodes reach it at `port` by attested TLS."""

    postgres: Postgres
    database: str
    service: Program
    front: Program
    port: int
    ports: dict[str, int]
    """Of the service, by listener."""

    @property
    def internal_url(self) -> str:
        """Where services outside the TEE ask."""
        return f"http://127.0.0.1:{self.ports['internal']}"

    def readiness(self) -> int:
        """Return the status of `/readyz`."""
        return ask(self.ports["listen"], "/readyz")[0]

    async def forge(self, statement: str, *values: str) -> None:
        """Change what it has stored, as whoever owns the machine can; `$1` is the first value."""
        await self.postgres.run(statement, *values, database=self.database)

    def add_image(self, image: Image) -> None:
        """Let nodes in that run an image."""
        self._post("/measurements", image)
        self._post(f"/measurements/activation/{image['measurement_id']}", {"enabled": True})

    def add_node(self, name: str, *, ip_address: str, place: str) -> None:
        """Let a node in.

        Args:
            name: Its name.
            ip_address: Where the hub sees it come from.
            place: Where other nodes reach it, HOST:PORT.
        """
        document = {"name": name, "ip_address": ip_address, "dns_name": place}
        self._post("/builders", {**document, "network": "production"})
        self._post(f"/builders/configuration/{name}", {"instance_name": name})
        self._post(f"/builders/activation/{name}", {"enabled": True})

    # Any: JSON.
    def _post(self, path: str, document: Any) -> None:
        status, text = ask(self.ports["admin"], f"{ADMIN}{path}", document)
        if status != 200:
            raise ProgramError(f"the hub answers {status} to {path}: {text[:300]!r}")


def make_hub(
    folder: Path, postgres: Postgres, trust: Trust, *, port: int, identity: HubIdentity
) -> Hub:
    """Set up a hub; its programs are started by whoever runs it.

    Args:
        folder: Gets keys and logs.
        postgres: Runs.
        trust: Which nodes it takes.
        port: Where nodes reach it.
        identity: What it shows them.
    """
    ports, database = {name: free_port() for name in _LISTENERS}, postgres.create()
    keys = folder / "hub.keys"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    service = Program(
        "builder-hub",
        "buildernet.builder_hub",
        [
            *(f"--{name}-addr=127.0.0.1:{number}" for name, number in ports.items()),
            *("--disable-admin-auth", "--drain-seconds=0", f"--secrets-key-file={keys}"),
        ],
        folder,
        lambda: hub.readiness() == 200,
        {
            "POSTGRES_DSN": postgres.url(database),
            "BUILDER_HUB_ATTESTATION_COLLATERAL": str(trust.collateral),
            "BUILDER_HUB_ATTESTATION_TRUST_ROOT": str(ROOT_OF_TRUST),
        },
    )
    front = Program(
        "attested-proxy-hub",
        "buildernet.attested_proxy",
        [
            *("server", f"--listen-addr=127.0.0.1:{port}", "--server-attestation-type=none"),
            f"--target-addr=http://127.0.0.1:{ports['listen']}",
            *(f"--measurements-file={trust.measurements}", f"--collateral={trust.collateral}"),
            f"--trust-root={ROOT_OF_TRUST}",
            *identity.server_flags,
        ],
        folder,
        lambda: listens(port),
    )
    hub = Hub(postgres, database, service, front, port, ports)
    return hub
