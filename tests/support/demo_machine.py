# SPDX-License-Identifier: MIT
"""The node in the machine of `make demo`, and what it is told about the network on the host."""

import json
from dataclasses import dataclass
from typing import Any, Final

import psutil

from tests.harness.artefacts import DeployedImage
from tests.support.hub_identity import HubIdentity
from tests.support.network import Network
from tests.support.network_node import NetworkNode
from tests.support.program import free_port, wait_until

HOST_IN_GUEST: Final = "10.0.2.2"
"""Where QEMU's network has the host's loopback."""

ADDRESS: Final = "127.0.0.1"
"""Where the hub sees the machine come from; nodes of the host have others."""

MACHINE: Final = "machine_node"
REFRESH_S: Final = 2
"""How often it fetches the list here; 30 in a network. It is emulated."""

SYSTEM_PORT: Final = 5544
USER_PORT: Final = 443

_MEASUREMENTS_IN_GUEST: Final = "/run/credentials/orderflow-proxy.service/buildernet.measurements"


@dataclass(frozen=True, slots=True)
class Places:
    """Where what it talks to is on the host; chosen before any of it runs."""

    hub: int
    archive: int
    builder: int

    def credentials(
        self, images: list[dict[str, Any]], hub: HubIdentity
    ) -> tuple[tuple[str, str], ...]:
        """Return what the machine is handed over: systemd credentials by name.

        Args:
            images: That nodes of this network run.
            hub: By what nodes know it.
        """
        lines = self._environment(hub).items()
        environment = "".join(f"{name}={value}\n" for name, value in lines)
        return (
            ("buildernet.environment", environment),
            ("buildernet.measurements", json.dumps(images)),
        )

    def _environment(self, hub: HubIdentity) -> dict[str, str]:
        host = f"http://{HOST_IN_GUEST}"
        return {
            "TARGET_ADDR": f"https://{HOST_IN_GUEST}:{self.hub}",
            "SERVER_CERTIFICATE_SHA256": hub.sha256,
            "ORDERFLOW_PROXY_BUILDER_ENDPOINT": f"{host}:{self.builder}",
            "ORDERFLOW_PROXY_BUILDER_DANGEROUSLY_PLAIN": "true",
            "ORDERFLOW_PROXY_BUILDER_RPC_ENDPOINT": f"{host}:{self.builder}",
            "ORDERFLOW_PROXY_ARCHIVE_ENDPOINT": f"{host}:{self.archive}",
            "ORDERFLOW_PROXY_ARCHIVE_DANGEROUSLY_PLAIN": "true",
            "ORDERFLOW_PROXY_PEERING_UPDATE_INTERVAL_S": str(REFRESH_S),
            "ORDERFLOW_PROXY_EVIDENCE_MEASUREMENTS": _MEASUREMENTS_IN_GUEST,
            "NODE_REGISTRATION_IP_ADDRESS": ADDRESS,
        }


def choose_places() -> Places:
    """Return ports that are free."""
    return Places(free_port(), free_port(), free_port())


def images_of(image: DeployedImage) -> list[dict[str, Any]]:
    """Return what the build published about a TDX machine that boots it."""
    published = json.loads(image.measurements.read_text())
    return [one for one in published if one["attestation_type"] == "dcap-tdx"]


def wait_until_joined(network: Network, *, seconds: float) -> None:
    """Wait until the machine has proved itself, both nodes believe each other and are connected.

    Raises:
        ProgramError: Not in time; says what is missing.
    """
    (native,) = network.nodes
    for what, condition in (
        ("the machine's evidence is at the hub", lambda: MACHINE in native.listed()),
        ("the native node believes the machine", lambda: native.count("peers") == 1),
        ("the machine is connected to the native node", lambda: _is_called(native)),
    ):
        wait_until(condition, what, seconds=seconds)


def _is_called(node: NetworkNode) -> bool:
    found = psutil.Process(node.proxy.pid).net_connections("tcp")
    port = node.ports["system"]
    return any(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found)
