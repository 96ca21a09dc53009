# SPDX-License-Identifier: MIT
"""A whole network of processes on loopback: two nodes, builders, hub with PostgreSQL, archive.

Each part can be killed and started again where it was. The nodes stand at addresses 127.x.y.z of
their own, so that they can have the real port 5544 and several networks do not meet. They speak
TLS themselves. What sends orders and counts them is in `orderflow_load`.
"""

import http.client
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from buildernet.ethereum.signature import SigningKey
from tests.support.archive_process import Archive, archive
from tests.support.builder_hub import KEYS, MEASUREMENT
from tests.support.hub_front import hub_front
from tests.support.orderflow_nodes import Certificate, free_port, make_certificate
from tests.support.postgres import Postgres, running_postgres

ROOT: Final = Path(__file__).resolve().parents[2]

DEADLINE_S: Final = 40.0
"""What a test waits for takes at most seconds; the machine may be busy with a build."""

SYSTEM_PORT: Final = 5544
BUILDER: Final = "builder"

_HUB_MAIN: Final = "import sys; from buildernet.builder_hub.cli import main; sys.exit(main())"


@dataclass
class Program:
    """A process that can be killed and started again."""

    name: str
    command: list[str]
    folder: Path
    ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it wrote, over all its lives."""
        return (self.folder / f"{self.name}.log").read_text()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.popen = subprocess.Popen(
                self.command,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self.environment},
            )

    def wait(self) -> None:
        """Wait until it is ready."""
        wait_until(self._is_ready, f"{self.name} is ready")

    def kill(self) -> None:
        """End it as a crash does."""
        if self.popen is not None:
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait(10)
            self.popen = None

    def stop(self) -> None:
        """End it as systemd does."""
        if self.popen is not None:
            self.popen.send_signal(signal.SIGTERM)
            assert self.popen.wait(DEADLINE_S) == 0, self.log[-2000:]
            self.popen = None

    @contextmanager
    def restarted(self, *flags: str, **environment: str) -> Iterator[None]:
        """Run it with more flags and environment, and afterwards as before."""
        before = self.command, self.environment
        self.stop()
        self.command, self.environment = [*self.command, *flags], environment
        try:
            self.start()
            yield
        finally:
            self.kill()
            self.command, self.environment = before
            self.start()

    def rss(self) -> int:
        """Bytes of memory that it holds now."""
        assert self.popen is not None
        return int(psutil.Process(self.popen.pid).memory_info().rss)

    def _is_ready(self) -> bool:
        assert self.popen is not None
        assert self.popen.poll() is None, self.log[-2000:]
        return self.ready()


@dataclass
class NetworkNode:
    """One node: `orderflow-proxy receiver` and its builder."""

    name: str
    ip: str
    key: SigningKey
    folder: Path
    proxy: Program
    builder: Program
    ports: dict[str, int]
    taken_file: Path

    @property
    def user_url(self) -> str:
        return f"https://127.0.0.1:{self.ports['user']}/"

    def taken(self) -> list[int]:
        """The numbers of what the builder took, in order."""
        text = self.taken_file.read_text() if self.taken_file.exists() else ""
        return [int(line) for line in text.splitlines()]

    def store(self, certificate: Certificate) -> None:
        """Replace certificate and key, each whole."""
        for name, text in (("key.pem", certificate.key_pem), ("cert.pem", certificate.pem)):
            (self.folder / f".{name}").write_text(text)
            (self.folder / f".{name}").rename(self.folder / name)

    def readiness(self) -> int:
        """The status of `/readyz`, asked as a user does."""
        return ask(self.ports["user"], "/readyz", tls=True)[0]

    def metrics(self) -> dict[str, float]:
        """All series by name and labels."""
        status, body = ask(self.ports["metrics"], "/metrics")
        assert status == 200
        lines = (line.rpartition(" ") for line in body.decode().splitlines() if line[:1] != "#")
        return {series: float(value) for series, _, value in lines}

    def count(self, name: str, **labels: str) -> int:
        """The sum of a metric over all labels that are not given."""
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


@dataclass
class Network:
    """Everything."""

    postgres: Postgres
    hub: Program
    hub_ports: dict[str, int]
    archive: Archive
    nodes: tuple[NetworkNode, NetworkNode]
    next_number: int = 1
    """Of the next order; no two of a network have the same."""

    def restore(self) -> None:
        """Start what is dead, so that a test that failed spoils no other."""
        if self.postgres.process is None:
            self.postgres.start()
        for program in (self.hub, *(p for node in self.nodes for p in (node.builder, node.proxy))):
            if program.popen is None:
                program.start()
        if self.archive.popen.poll() is not None:
            self.archive.restart()
        wait_until(self.is_whole, "everything runs")

    def is_whole(self) -> bool:
        """Whether every part knows and serves the others."""
        return all(_knows_the_other(node) for node in self.nodes) and self.hub_readiness() == 200

    def hub_readiness(self) -> int:
        """The status of the hub's `/readyz`."""
        return ask(self.hub_ports["listen"], "/readyz")[0]

    def archived(self, first: int) -> list[dict[str, Any]]:
        """The rows of orders from a number on."""
        rows = self.archive.rows(limit="1000")
        return [row for row in rows if row["min_timestamp"] >= first]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until something is so."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.02)


def ask(port: int, path: str, body: Any = None, *, tls: bool = False) -> tuple[int, bytes]:
    """Send a request to this machine; status 0 when nobody answers."""
    from tests.support.haproxy import client_context

    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=client_context())
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    )
    try:
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Start a network, and end it with its processes."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        hub, hub_ports = _make_hub(folder, postgres.url(postgres.create()))
        stack.callback(hub.kill)
        hub.start()
        middle = f"127.{random.randrange(1, 255)}.{random.randrange(255)}"
        names = {"node_a": f"{middle}.2", "node_b": f"{middle}.3"}
        _fill_hub(hub_ports, names)
        keeper = stack.enter_context(
            archive(
                folder / "archive",
                hub_url=f"http://127.0.0.1:{hub_ports['internal']}",
            )
        )
        nodes = []
        for name, ip in names.items():
            front = stack.enter_context(hub_front(hub_ports["listen"], ip))
            node = _make_node(folder / name, name, ip, hub_port=front, archive_url=keeper.url)
            nodes.append(node)
            for program in (node.builder, node.proxy):
                stack.callback(program.kill)
                program.launch()
        for node in nodes:
            node.builder.wait()
            node.proxy.wait()
        whole = Network(postgres, hub, hub_ports, keeper, (nodes[0], nodes[1]))
        wait_until(lambda: all(_knows_the_other(node) for node in nodes), "nodes know each other")
        wait_until(lambda: "archive_senders 3.0" in _archive_metrics(keeper), "archive knows nodes")
        yield whole


def _knows_the_other(node: NetworkNode) -> bool:
    return node.count("peers") == 1 and node.readiness() == 200


def _archive_metrics(keeper: Archive) -> str:
    return keeper.request("GET", "/metrics")[2].decode()


def _make_hub(folder: Path, url: str) -> tuple[Program, dict[str, int]]:
    ports = {name: free_port() for name in ("listen", "admin", "internal", "metrics")}
    keys = folder / "hub.keys"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    command = [sys.executable, "-c", _HUB_MAIN, "--disable-admin-auth", "--log-json"]
    command += [f"--{name}-addr=127.0.0.1:{port}" for name, port in ports.items()]
    command += [f"--postgres-dsn={url}", f"--secrets-key-file={keys}"]
    ready = lambda: ask(ports["listen"], "/readyz")[0] == 200  # noqa: E731
    return Program("hub", command, folder, ready), ports


def _fill_hub(ports: dict[str, int], builders: dict[str, str]) -> None:
    """Say what the network consists of."""

    def post(path: str, body: Any) -> None:
        status, text = ask(ports["admin"], f"/api/admin/v1{path}", body)
        assert status == 200, text

    post("/measurements", MEASUREMENT)
    post(f"/measurements/activation/{MEASUREMENT['measurement_id']}", {"enabled": True})
    for name, ip in builders.items():
        post("/builders", {"name": name, "ip_address": ip, "network": "production"})
        post(f"/builders/configuration/{name}", {"instance_name": name})
        post(f"/builders/activation/{name}", {"enabled": True})


def _make_node(folder: Path, name: str, ip: str, *, hub_port: int, archive_url: str) -> NetworkNode:
    folder.mkdir()
    ports = {kind: free_port() for kind in ("user", "metrics", "builder")}
    key_file, taken = folder / "signing.key", folder / "taken"
    key_file.write_text(secrets.token_hex(32))
    key_file.chmod(0o600)
    config = folder / "proxy.toml"
    config.write_text(
        "[peering]\nupdate_interval_s = 1\n[limits]\norders_per_second = 0\n"
        "[evidence]\ndangerously_trust_hub = true\n"
    )
    endpoint = f"http://127.0.0.1:{ports['builder']}"
    flags = {
        "config": config,
        "user-listen-addr": f"127.0.0.1:{ports['user']}",
        "system-listen-addr": f"{ip}:{SYSTEM_PORT}",
        "metrics-addr": f"127.0.0.1:{ports['metrics']}",
        "certificate-file": folder / "cert.pem",
        "private-key-file": folder / "key.pem",
        "builder-endpoint": endpoint,
        "rpc-endpoint": endpoint,
        "builder-confighub-endpoint": f"http://127.0.0.1:{hub_port}",
        "builder-name": name,
        "orderflow-signer-key-file": key_file,
        "orderflow-archive-endpoint": archive_url,
        "archive-spool-dir": folder / "spool",
    }
    command = [sys.executable, "-m", "buildernet.orderflow_proxy", "receiver"]
    command += [f"--{flag}={value}" for flag, value in flags.items()]
    proxy = Program(
        "proxy", command, folder, lambda: ask(ports["user"], "/livez", tls=True)[0] == 200
    )
    stand_in = [sys.executable, "-m", "tests.support.builder_stand_in"]
    builder = Program(
        "builder",
        [*stand_in, str(ports["builder"]), str(taken)],
        folder,
        lambda: _listens(ports["builder"]),
    )
    node = NetworkNode(name, ip, SigningKey.load(key_file), folder, proxy, builder, ports, taken)
    node.store(make_certificate(name))
    return node


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
