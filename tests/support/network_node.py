# SPDX-License-Identifier: MIT
"""A node as processes: what the image runs, in a simulated TEE, with orderflow-proxy ending TLS."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.builder_hub import API
from tests.support.builder_stand_in import Builder, make_builder
from tests.support.network_trust import ROOT_OF_TRUST, Trust
from tests.support.program import Program, ask, free_port, listens

BUILDER: Final = "builder"
"""Its name as a destination of orders."""

REFRESH_S: Final = 1
"""How often nodes fetch the list here; 30 in a network."""

_LISTENERS: Final = ("user", "system", "metrics", "certificate", "hub")


@dataclass
class NetworkNode:
    """One node and its builder."""

    name: str
    ip: str
    """Where the hub sees it come from; it listens on 127.0.0.1."""
    folder: Path
    """In memory: certificate and key, measurements, logs."""
    ports: dict[str, int]
    builder: Builder
    attested: Program
    """attested-proxy: makes the certificate, a new one at every start."""
    client: Program
    """attested-proxy: the way to the hub."""
    proxy: Program
    registration: Program

    @property
    def user_url(self) -> str:
        return f"https://127.0.0.1:{self.ports['user']}/"

    @property
    def system_url(self) -> str:
        return f"https://{self.system_place}/"

    @property
    def system_place(self) -> str:
        """What the hub tells peers of this machine."""
        return f"127.0.0.1:{self.ports['system']}"

    @property
    def certificate(self) -> str:
        """The newest, as PEM."""
        return (self.folder / "cert.pem").read_text()

    def taken(self) -> list[int]:
        """Return the numbers of what the builder took, in order."""
        return [number for number, _ in self.builder.taken()]

    # Any: JSON.
    def listed(self) -> dict[str, Any]:
        """Return what the hub passes on about each node, evidence and all, as this node sees it."""
        status, body = ask(self.ports["hub"], f"{API}/peers")
        return {one["name"]: one for one in json.loads(body)["peer_list"]} if status == 200 else {}

    def readiness(self) -> int:
        """Return the status of `/readyz`, asked as a user does."""
        return ask(self.ports["user"], "/readyz", tls=True)[0]

    def metrics(self) -> dict[str, float]:
        """Return all series by name and labels."""
        status, body = ask(self.ports["metrics"], "/metrics")
        assert status == 200, f"{self.name} has no metrics"
        lines = (line.rpartition(" ") for line in body.decode().splitlines() if line[:1] != "#")
        return {series: float(value) for series, _, value in lines}

    def count(self, name: str, **labels: str) -> int:
        """Return the sum of a metric over all labels that are not given."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            int(value)
            for series, value in self.metrics().items()
            if series.partition("{")[0] == f"orderflow_proxy_{name}"
            and all(text in series for text in wanted)
        )

    def require_balance(self, peer: str) -> None:
        """Accepted is delivered, dropped or waiting (orderflow-delivery.md, promise 1)."""
        accepted = self.count("delivery_accepted_total", peer=peer)
        parts = ("delivered_total", "dropped_total", "waiting")
        assert accepted == sum(self.count(f"delivery_{part}", peer=peer) for part in parts)


def make_node(
    folder: Path,
    name: str,
    ip: str,
    *,
    trust: Trust,
    tsm: Path,
    hub_port: int,
    hub_sha256: str,
    archive_url: str,
) -> NetworkNode:
    """Set up a node; its programs are started by whoever runs it.

    Args:
        folder: Memory-backed.
        name: At the hub.
        ip: Loopback address that it calls the hub from.
        trust: Which peers it takes.
        tsm: Mount point of its simulated TEE.
        hub_port: Of the hub's attested-proxy.
        hub_sha256: Of the certificate that it shows.
        archive_url: Where what it received goes.
    """
    folder.mkdir()
    ports = {listener: free_port() for listener in _LISTENERS}
    address, hub = folder / "address", f"http://127.0.0.1:{ports['hub']}"
    builder = make_builder(folder, free_port())
    attested = Program(
        "attested-proxy-server",
        "buildernet.attested_proxy",
        [
            *("server", f"--listen-addr=127.0.0.1:{ports['certificate']}", "--serve-certificate"),
            *(f"--certificate-dir={folder}", f"--tsm-dir={tsm}"),
            "--allowed-remote-attestation-type=none",
        ],
        folder,
        lambda: listens(ports["certificate"]),
    )
    client = Program(
        "attested-proxy-client",
        "buildernet.attested_proxy",
        [
            *("client", f"--listen-addr=127.0.0.1:{ports['hub']}", f"--source-address={ip}"),
            *(f"--target-addr=https://127.0.0.1:{hub_port}", f"--tsm-dir={tsm}"),
            *("--client-attestation-type=auto", "--allowed-remote-attestation-type=none"),
            f"--server-certificate-sha256={hub_sha256}",
        ],
        folder,
        lambda: listens(ports["hub"]),
    )
    proxy = Program(
        "orderflow-proxy",
        "buildernet.orderflow_proxy",
        [
            *("receiver", f"--builder-name={name}"),
            f"--user-listen-addr=127.0.0.1:{ports['user']}",
            f"--system-listen-addr=127.0.0.1:{ports['system']}",
            f"--metrics-addr=127.0.0.1:{ports['metrics']}",
            *(f"--certificate-file={folder}/cert.pem", f"--private-key-file={folder}/key.pem"),
            *(f"--builder-endpoint={builder.url}", f"--rpc-endpoint={builder.url}"),
            *(f"--builderhub-endpoint={hub}", f"--peer-measurements={trust.measurements}"),
            f"--orderflow-archive-endpoint={archive_url}",
            f"--archive-spool-dir={folder}/spool",
        ],
        folder,
        # It serves users once it has seen a first list of peers.
        lambda: ask(ports["user"], "/livez", tls=True)[0] == 200,
        {
            "ORDERFLOW_PROXY_LIMITS_ORDERS_PER_SECOND": "0",
            "ORDERFLOW_PROXY_PEERING_UPDATE_INTERVAL_S": str(REFRESH_S),
            "ORDERFLOW_PROXY_PEERING_ADDRESS_FILE": str(address),
            "ORDERFLOW_PROXY_EVIDENCE_COLLATERAL": str(trust.collateral),
            "ORDERFLOW_PROXY_EVIDENCE_TRUST_ROOT": str(ROOT_OF_TRUST),
        },
    )
    registration = Program(
        "node-registration",
        "buildernet.node",
        ["registration", f"--tsm-dir={tsm}"],
        folder,
        lambda: True,
        {
            "NODE_REGISTRATION_HUB_ENDPOINT": hub,
            "NODE_REGISTRATION_CERTIFICATE_DIR": str(folder),
            "NODE_REGISTRATION_ADDRESS_FILE": str(address),
            "NODE_REGISTRATION_IP_ADDRESS": ip,
        },
    )
    return NetworkNode(name, ip, folder, ports, builder, attested, client, proxy, registration)
