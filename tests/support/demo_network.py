# SPDX-License-Identifier: MIT
"""A whole network for `make demo`: hub on PostgreSQL, archive, two builders, and a native node.

docs/how-to/run-a-network.md shows the same commands for people.
"""

import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from buildernet.attestation.collateral.documents import encode_bundle
from buildernet.attestation.policy import Platform
from buildernet.attestation.policy.measurements_file import encode_own_measurements
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Digest48
from tests.harness.artefacts import DeployedImage
from tests.support.demo_builder import BuilderStandIn
from tests.support.demo_processes import DemoError, Running, running
from tests.support.event_logs import encode_log
from tests.support.postgres import find_programs, running_postgres
from tests.support.simulated_mount import EVENTS, MRTD, mounted_tee
from tests.support.simulated_tee.chain import PUBLIC_CHAIN, ROOT_FILE, collateral_at, load_chain
from tests.support.simulated_tee.platform import SimulatedPlatform, domain_of_boot

NATIVE_ADDRESS: Final = "127.0.0.2"
"""The native node calls from here, the machine from 127.0.0.1: so the hub tells them apart."""

HOST_IN_GUEST: Final = "10.0.2.2"
"""Where QEMU's network has the host's loopback."""

REFRESH_SECONDS: Final = 2
"""How often nodes fetch the list here; 30 in a network."""

SYSTEM_PORT: Final = 5544
USER_PORT: Final = 443

_MEASUREMENTS_IN_GUEST: Final = "/run/credentials/orderflow-proxy.service/buildernet.measurements"

_API: Final = "/api/admin/v1"
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything on the host is, known before it runs: the machine is told."""

    hub_proxy: int
    archive: int
    builder: int
    measurements: str
    """JSON: the images that nodes of this network run."""

    @property
    def credentials(self) -> tuple[tuple[str, str], ...]:
        """Return what the machine is handed over: systemd credentials by name."""
        return (
            ("buildernet.environment", self._environment()),
            ("buildernet.measurements", self.measurements),
        )

    def _environment(self) -> str:
        host = f"http://{HOST_IN_GUEST}"
        lines = {
            "TARGET_ADDR": f"https://{HOST_IN_GUEST}:{self.hub_proxy}",
            "ORDERFLOW_PROXY_BUILDER_ENDPOINT": f"{host}:{self.builder}",
            "ORDERFLOW_PROXY_BUILDER_RPC_ENDPOINT": f"{host}:{self.builder}",
            "ORDERFLOW_PROXY_ARCHIVE_ENDPOINT": f"{host}:{self.archive}",
            "ORDERFLOW_PROXY_ARCHIVE_DANGEROUSLY_PLAIN": "true",
            "ORDERFLOW_PROXY_PEERING_UPDATE_INTERVAL_S": str(REFRESH_SECONDS),
            "ORDERFLOW_PROXY_EVIDENCE_MEASUREMENTS": _MEASUREMENTS_IN_GUEST,
            "NODE_REGISTRATION_IP_ADDRESS": "127.0.0.1",
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())


@dataclass(frozen=True, slots=True)
class Network:
    """What runs on the host."""

    admin_url: str
    internal_url: str
    archive_url: str
    builders: tuple[BuilderStandIn, BuilderStandIn]
    native: Running
    """The native node's orderflow-proxy."""

    def add_node(self, name: str, *, ip_address: str, place: str) -> None:
        """Let a node in at the hub.

        Args:
            name: Its name.
            ip_address: Where the hub sees it come from.
            place: Where other nodes reach it, HOST:PORT.
        """
        document = {"name": name, "ip_address": ip_address, "dns_name": place}
        ask_json(f"{self.admin_url}{_API}/builders", {**document, "network": "production"})
        ask_json(f"{self.admin_url}{_API}/builders/configuration/{name}", {"instance_name": name})
        ask_json(f"{self.admin_url}{_API}/builders/activation/{name}", {"enabled": True})

    def registered(self) -> dict[str, set[str]]:
        """Return the nodes and what each has registered."""
        listed = ask_json(f"{self.internal_url}/api/internal/l1-builder/v1/builders")
        services = ("instance", "orderflow_proxy")
        return {one["name"]: {name for name in services if one.get(name)} for one in listed}

    def attested(self) -> set[str]:
        """Return the nodes whose evidence the hub took."""
        events = ask_json(f"{self.admin_url}{_API}/events?limit=1000")
        return {one["builder_name"] for one in events if one["event_name"] == "TeeAttestation"}

    def wait_until_joined(self, names: set[str], *, seconds: float) -> None:
        """Wait until every node is registered and attested, and one is connected to the native one.

        Raises:
            DemoError: Not in time; says what is missing.
        """
        whole = {"instance", "orderflow_proxy"}
        end = time.monotonic() + seconds
        while True:
            self.native.require_alive()
            registered, attested = self.registered(), self.attested()
            lacking = [
                f"{name} is not registered" for name in names if registered.get(name) != whole
            ]
            lacking += [f"{name} is not attested" for name in names - attested]
            if not self.native_connections():
                lacking.append("the machine has not connected to the native node")
            if not lacking:
                return
            if time.monotonic() > end:
                raise DemoError(f"after {seconds:g} s {', '.join(lacking)}")
            time.sleep(_POLL_SECONDS)

    def native_connections(self) -> int:
        """Return how many connections other nodes hold to the native one."""
        port = self.native.ports[-2]
        found = psutil.Process(self.native.popen.pid).net_connections("tcp")
        return sum(
            one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found
        )


def network_measurements(image: DeployedImage) -> str:
    """Return what nodes of this network measure: what the build published, and the native node."""
    published = json.loads(image.measurements.read_text())
    wanted = [one for one in published if one["attestation_type"] == "dcap-tdx"]
    domain = domain_of_boot(encode_log(EVENTS), Digest48.parse(MRTD))
    quote = SimulatedPlatform(chain=load_chain(), domain=domain).quote(bytes(64))
    native = json.loads(
        encode_own_measurements(Platform.DCAP_TDX, parse_quote(quote).body.registers)
    )[0]
    return json.dumps([*wanted, {**native, "measurement_id": "native-node"}])


@contextmanager
def networking(
    places: Places,
    builders: tuple[BuilderStandIn, BuilderStandIn],
    work: Path,
    say: Callable[[str], None],
) -> Iterator[Network]:
    """Run everything that is not in the machine.

    Raises:
        DemoError: PostgreSQL or FUSE is missing, or a part does not start.
    """
    _require_tools()
    collateral = work / "network-collateral.json"
    collateral.write_text(encode_bundle([collateral_at(load_chain(), int(time.time()))]))
    root = PUBLIC_CHAIN / ROOT_FILE
    with ExitStack() as stack:
        say("starting PostgreSQL, builder-hub and the archive")
        cluster = stack.enter_context(running_postgres())
        hub = stack.enter_context(
            running(
                "builder-hub",
                "buildernet.builder_hub",
                *("--listen-addr=127.0.0.1:0", "--internal-addr=127.0.0.1:0"),
                *("--admin-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0"),
                *("--disable-admin-auth", "--mock-secrets", "--drain-seconds=0"),
                work=work,
                ports=4,
                POSTGRES_DSN=cluster.url(cluster.create()),
                BUILDER_HUB_ATTESTATION_COLLATERAL=str(collateral),
                BUILDER_HUB_ATTESTATION_TRUST_ROOT=str(root),
            )
        )
        internal, admin, _, instance = hub.ports
        archive = stack.enter_context(
            running(
                "archive",
                "buildernet.archive",
                *("serve", "--config", str(_write_archive_config(work, internal))),
                f"--listen-addr=127.0.0.1:{places.archive}",
                "--operator-listen-addr=127.0.0.1:0",
                work=work,
                ports=2,
            )
        )
        operator = next(port for port in archive.ports if port != places.archive)
        say("starting the native node: simulated TEE, attested-proxy, orderflow-proxy")
        (work / "tee").mkdir()
        tee = stack.enter_context(mounted_tee(work / "tee"))
        measurements = work / "measurements.json"
        measurements.write_text(places.measurements)
        for record in json.loads(places.measurements):
            _activate(f"http://127.0.0.1:{admin}", record)
        stack.enter_context(
            running(
                "attested-proxy-hub",
                "buildernet.attested_proxy",
                *("server", f"--listen-addr=127.0.0.1:{places.hub_proxy}"),
                f"--target-addr=http://127.0.0.1:{instance}",
                "--server-attestation-type=none",
                *(f"--measurements-file={measurements}", f"--collateral={collateral}"),
                f"--trust-root={root}",
                work=work,
                ports=1,
            )
        )
        native = _start_native(stack, places, builders[1], tee, work)
        network = Network(
            admin_url=f"http://127.0.0.1:{admin}",
            internal_url=f"http://127.0.0.1:{internal}",
            archive_url=f"http://127.0.0.1:{operator}",
            builders=builders,
            native=native,
        )
        place = f"{HOST_IN_GUEST}:{native.ports[-2]}"
        network.add_node("native_node", ip_address=NATIVE_ADDRESS, place=place)
        yield network


def _start_native(
    stack: ExitStack, places: Places, builder: BuilderStandIn, tee: Path, work: Path
) -> Running:
    # In memory: attested-proxy lets no key reach a disk.
    memory = stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-", dir="/dev/shm"))
    folder, address = Path(memory), work / "address"
    stack.enter_context(
        running(
            "attested-proxy-server",
            "buildernet.attested_proxy",
            *("server", "--listen-addr=127.0.0.1:0", "--serve-certificate"),
            *(f"--certificate-dir={folder}", f"--tsm-dir={tee}"),
            "--allowed-remote-attestation-type=none",
            work=work,
            ports=1,
        )
    )
    client = stack.enter_context(
        running(
            "attested-proxy-client",
            "buildernet.attested_proxy",
            *("client", "--listen-addr=127.0.0.1:0", f"--source-address={NATIVE_ADDRESS}"),
            f"--target-addr=https://127.0.0.1:{places.hub_proxy}",
            *("--client-attestation-type=auto", f"--tsm-dir={tee}"),
            "--allowed-remote-attestation-type=none",
            work=work,
            ports=1,
        )
    )
    hub = f"http://127.0.0.1:{client.port}"
    native = stack.enter_context(
        running(
            "orderflow-proxy",
            "buildernet.orderflow_proxy",
            *("receiver", "--user-listen-addr=127.0.0.1:0", "--system-listen-addr=127.0.0.1:0"),
            *("--metrics-addr=", f"--builder-endpoint={builder.url}"),
            *(f"--rpc-endpoint={builder.url}", f"--builderhub-endpoint={hub}"),
            *(f"--certificate-file={folder}/cert.pem", f"--private-key-file={folder}/key.pem"),
            f"--orderflow-archive-endpoint=http://127.0.0.1:{places.archive}",
            f"--archive-spool-dir={work}/spool",
            work=work,
            ports=2,
            ORDERFLOW_PROXY_PEERING_UPDATE_INTERVAL_S=str(REFRESH_SECONDS),
            ORDERFLOW_PROXY_PEERING_ADDRESS_FILE=str(address),
            ORDERFLOW_PROXY_EVIDENCE_MEASUREMENTS=str(work / "measurements.json"),
            ORDERFLOW_PROXY_EVIDENCE_COLLATERAL=str(work / "network-collateral.json"),
            ORDERFLOW_PROXY_EVIDENCE_TRUST_ROOT=str(PUBLIC_CHAIN / ROOT_FILE),
        )
    )
    stack.enter_context(
        running(
            "node-registration",
            "buildernet.node",
            *("registration", f"--tsm-dir={tee}"),
            work=work,
            ports=0,
            NODE_REGISTRATION_HUB_ENDPOINT=hub,
            NODE_REGISTRATION_CERTIFICATE_DIR=str(folder),
            NODE_REGISTRATION_ADDRESS_FILE=str(address),
            NODE_REGISTRATION_IP_ADDRESS=NATIVE_ADDRESS,
        )
    )
    return native


@contextmanager
def in_background(
    pool: ThreadPoolExecutor, context: AbstractContextManager[Network]
) -> Iterator[Future[Network]]:
    """Enter a context in another thread; leaving this one waits for it and leaves that one."""
    future = pool.submit(context.__enter__)
    try:
        yield future
    finally:
        if future.exception() is None:  # otherwise whoever asked for the result was told
            context.__exit__(None, None, None)


# Any: JSON values.
def ask_json(url: str, document: Any = None) -> Any:
    """GET, or POST when there is a document, and return the answer's JSON.

    Raises:
        DemoError: No answer, or a refusal.
    """
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310  # http, ours
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
            text = answer.read()
    except urllib.error.HTTPError as exc:
        raise DemoError(f"{url} answers {exc.code}: {exc.read()[:300]!r}") from exc
    except OSError as exc:
        raise DemoError(f"{url} does not answer: {exc}") from exc
    return json.loads(text) if text else None


def _activate(admin: str, record: dict[str, Any]) -> None:
    ask_json(f"{admin}{_API}/measurements", record)
    ask_json(f"{admin}{_API}/measurements/activation/{record['measurement_id']}", {"enabled": True})


def _write_archive_config(work: Path, internal: int) -> Path:
    config = work / "archive.toml"
    config.write_text(
        f"[storage]\ndata_dir = '{work}/archive'\n"
        f"[access]\nhub_url = 'http://127.0.0.1:{internal}'\nhub_refresh_s = 1\n"
    )
    return config


def _require_tools() -> None:
    if find_programs() is None:
        raise DemoError("PostgreSQL is not installed", hint="apt-get install postgresql")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise DemoError("no access to /dev/fuse, which the native node's simulated TEE needs")
