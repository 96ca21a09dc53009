# SPDX-License-Identifier: MIT
"""The neighbours of an orderflow proxy for figures: hub, peers, archive, builder; all are nginx.

They answer at once and cost little, so that what is measured is the proxy.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import psutil
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from buildernet.attested_proxy.certificate import make_identity
from buildernet.ethereum.signature import SigningKey
from tests.bench.proxies import OPEN, RunningProxy, wait_for_port
from tests.support.orderflow_nodes import Certificate
from tests.support.program import free_port
from tests.support.reference_proxies import (
    TDX_ORDERFLOW_PROXY,
    find_program,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS: Final = "orderflow-proxy"
GO: Final = "tdx-orderflow-proxy"
OWN_KEY: Final = SigningKey(b"\x21" * 32)
"""Of the proxy that is measured, so that a second one of ours can know it."""

_HUB_BELIEVED: Final = "[evidence]\ndangerously_trust_hub = true\n"
"""The neighbours are no machines and have no evidence; the Go proxy knows none."""

_ANSWER: Final = '{"jsonrpc":"2.0","id":0,"result":"0x1"}'
_NGINX: Final = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections {open}; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 10000000;
  default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; client_body_buffer_size 256k;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  ssl_protocols TLSv1.3; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
  upstream second {{ server 127.0.0.1:{second}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{plain};
    location = /api/l1-builder/v1/builders {{ alias {folder}/builders.json; }}
    location ~ /challenge$ {{ return 404; }}
    location /api/ {{ return 200; }}
    location / {{ return 200 '{answer}'; }}
  }}
  {peers}
  server {{
    listen 127.0.0.1:{batching} ssl; client_max_body_size 8m;
    location / {{
      proxy_pass http://second; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
  server {{
    listen 127.0.0.1:{single} ssl; client_max_body_size 8m;
    location /orderflow/ {{ return 404; }}
    location / {{
      proxy_pass http://second; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""
_PEER: Final = """server {{ listen 127.0.0.1:{port} ssl; access_log {folder}/peers.log;
    location /orderflow/ {{ return 404; }} location / {{ return 200 '{answer}'; }} }}"""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where they listen."""

    folder: Path
    certificate: Certificate
    plain: int
    """Hub, archive, builder and chain, told apart by path."""
    peers: tuple[int, ...]
    """Each answers success, in the reference's form only."""
    second: int
    """Where a second proxy of ours has its system side, if one runs."""
    batching: int
    """TLS in front of it."""
    single: int
    """The same, but without the route of shared batches."""

    def name_peers(self, ports: tuple[int, ...], *, to_second: bool = False) -> None:
        """Write what the hub answers.

        Args:
            ports: Of the peers.
            to_second: The list is for a second proxy too: it knows the one that is measured.
        """
        addresses = [SigningKey(bytes([number + 1]) * 32).address for number in range(len(ports))]
        entries = [
            self._entry(f"peer_{port}", f"127.0.0.1:{port}", str(address))
            for port, address in zip(ports, addresses, strict=True)
        ]
        if to_second:
            entries.append(self._entry("measured", "127.0.0.1:1", str(OWN_KEY.address)))
        (self.folder / "builders.json").write_text(json.dumps(entries))

    def count_at_peers(self) -> int:
        """Return how many orders the peers took since the last call."""
        log = self.folder / "peers.log"
        count = log.read_text().count('"POST / ')
        os.truncate(log, 0)
        return count

    def _entry(self, name: str, address: str, signer: str) -> dict[str, object]:
        pem = self.certificate.pem
        return {
            "name": name,
            "ip": address,
            "dns_name": "",
            "orderflow_proxy": {"tls_cert": pem, "ecdsa_pubkey_address": signer},
            "instance": {"tls_cert": pem},
        }


@contextmanager
def neighbours(folder: Path, most_peers: int) -> Iterator[Neighbours]:
    """Run them.

    Raises:
        FileNotFoundError: nginx is not installed.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise FileNotFoundError("nginx is not installed: see scripts/apt/bench.txt")
    found = Neighbours(
        folder,
        _make_certificate(),
        free_port(),
        tuple(free_port() for _ in range(most_peers)),
        *(free_port() for _ in range(3)),
    )
    folder.chmod(0o711)  # nginx's workers are nobody when the bench runs as root
    (folder / "cert.pem").write_text(found.certificate.pem)
    (folder / "key.pem").write_text(found.certificate.key_pem)
    (folder / "key.pem").chmod(0o600)
    (folder / "signer").write_text("21" * 32)
    (folder / "signer").chmod(0o600)
    found.name_peers(())
    ports = {name: getattr(found, name) for name in ("plain", "second", "batching", "single")}
    peers = "\n  ".join(
        _PEER.format(port=port, answer=_ANSWER, folder=folder) for port in found.peers
    )
    text = _NGINX.format(folder=folder, open=OPEN, answer=_ANSWER, peers=peers, **ports)
    (folder / "nginx.conf").write_text(text)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "/dev/null"]
    with running(command, log=folder / "nginx.log"):
        wait_for_port(found.plain)
        yield found


def _make_certificate() -> Certificate:
    """Make one that names its address: the Go proxy refuses to send to another."""
    identity = make_identity(["127.0.0.1"], now=datetime.now(UTC))
    key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(identity.pem.decode(), key.decode())


@contextmanager
def run_proxy(name: str, around: Neighbours, *, builder: int) -> Iterator[RunningProxy]:
    """Run a receiver, ours or the Go one; users reach it by TLS on `port`.

    Raises:
        FileNotFoundError: The Go binary is not there.
    """
    port = free_port()
    command = (_ours if name == OURS else _go)(around, port, builder)
    with running(command, log=around.folder / f"{name}.log") as popen:
        wait_for_port(port)
        yield RunningProxy(name, port, psutil.Process(popen.pid))


@contextmanager
def run_second(around: Neighbours) -> Iterator[None]:
    """Run another proxy of ours, whose system side takes what the measured one shares."""
    folder = around.folder / "second"
    folder.mkdir(exist_ok=True)
    (folder / "orderflow-proxy.toml").write_text(_HUB_BELIEVED)
    command = [
        *(sys.executable, "-m", "buildernet.orderflow_proxy", "receiver"),
        *("--config", str(folder / "orderflow-proxy.toml")),
        *("--user-listen-addr", f"127.0.0.1:{free_port()}"),
        *("--system-listen-addr", f"127.0.0.1:{around.second}"),
        *_endpoints(around, around.plain),
    ]
    with running(command, log=folder / "log"):
        wait_for_port(around.second)
        yield


def _endpoints(around: Neighbours, builder: int) -> list[str]:
    here = f"http://127.0.0.1:{around.plain}"
    return [
        *("--metrics-addr", f"127.0.0.1:{free_port()}"),
        *("--builder-endpoint", f"http://127.0.0.1:{builder}"),
        *("--rpc-endpoint", here),
        *("--builder-confighub-endpoint", here),
    ]


def _ours(around: Neighbours, port: int, builder: int) -> list[str]:
    spool = around.folder / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    config = around.folder / "orderflow-proxy.toml"
    config.write_text(f'[archive]\nform = "order-events"\n{_HUB_BELIEVED}')
    return [
        *(sys.executable, "-m", "buildernet.orderflow_proxy", "receiver"),
        *("--config", str(config)),
        *("--user-listen-addr", f"127.0.0.1:{port}"),
        *("--system-listen-addr", f"127.0.0.1:{free_port()}"),
        *("--certificate-file", str(around.folder / "cert.pem")),
        *("--private-key-file", str(around.folder / "key.pem")),
        *("--orderflow-signer-key-file", str(around.folder / "signer")),
        *("--orderflow-archive-endpoint", f"http://127.0.0.1:{around.plain}"),
        *("--archive-spool-dir", str(spool)),
        *("--max-user-requests-per-second", "0"),
        *_endpoints(around, builder),
    ]


def _go(around: Neighbours, port: int, builder: int) -> list[str]:
    program = find_program(TDX_ORDERFLOW_PROXY, "receiver-proxy")
    if program is None:
        raise FileNotFoundError(f"{TDX_ORDERFLOW_PROXY} names no folder that holds receiver-proxy")
    return [
        str(program),
        *("--local-listen-addr", f"127.0.0.1:{port}"),
        *("--public-listen-addr", f"127.0.0.1:{free_port()}"),
        *("--cert-listen-addr", f"127.0.0.1:{free_port()}"),
        *("--orderflow-archive-endpoint", f"http://127.0.0.1:{around.plain}"),
        *("--max-local-requests-per-second", "0"),
        *_endpoints(around, builder),
    ]
