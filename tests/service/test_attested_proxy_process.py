# SPDX-License-Identifier: MIT
"""The commands as processes, over the simulated TEE with its minted quotes, and plain clients."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildernet.attestation.collateral import encode_bundle
from tests.support.attested_process import Proxy, proxy, run_tool
from tests.support.simulated_mount import MRTD, mounted_tee
from tests.support.simulated_tee.chain import PUBLIC_CHAIN, ROOT_FILE, collateral_at, load_chain

pytestmark = pytest.mark.process

STOP_DEADLINE_S = 10.0


@dataclass
class Node:
    """A server on the simulated TEE, and what a verifier needs to know of it."""

    proxy: Proxy
    tsm_dir: Path
    trust: list[str]
    measurements: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.proxy.port}/cert"

    @property
    def expecting(self) -> list[str]:
        return [*self.trust, "--expected-measurements", str(self.measurements)]


def published(folder: Path, name: str, mrtd: str) -> Path:
    path = folder / name
    expected = {"0": {"expected": mrtd}}
    record = {"measurement_id": name, "attestation_type": "dcap-tdx", "measurements": expected}
    path.write_text(json.dumps([record]))
    return path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    collateral = folder / "collateral.json"
    collateral.write_text(encode_bundle([collateral_at(load_chain(), int(time.time()))]))
    trust = ["--collateral", str(collateral), "--trust-root", str(PUBLIC_CHAIN / ROOT_FILE)]
    with (
        mounted_tee(folder) as tsm,
        proxy(
            "server",
            *("--listen-addr", "127.0.0.1:0", "--listen-addr-healthcheck", "127.0.0.1:0"),
            *("--server-attestation-type", "auto", "--tsm-dir", str(tsm)),
            *("--serve-certificate", "--certificate-hosts", "127.0.0.1,node.example"),
            ports=2,
        ) as server,
    ):
        yield Node(server, tsm, trust, published(folder, "image-1", MRTD))


def curl(*arguments: str) -> bytes:
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize("protocol", ["a", "b", "auto"])
def test_attested_get_fetches_from_the_published_image(node: Node, protocol: str) -> None:
    done = run_tool("attested-get", node.url, *node.expecting, "--protocol", protocol)
    assert done.returncode == 0, done.stderr
    assert "fits 'image-1'" in done.stderr
    assert f'"0": "{MRTD}"' in done.stdout
    assert done.stdout.endswith("-----END CERTIFICATE-----\n")


def test_measurement_mismatch_is_one_line_and_an_exit_code(node: Node, tmp_path: Path) -> None:
    other = published(tmp_path, "image-2", "ab" * 48)
    asked = [*node.trust, "--expected-measurements", str(other)]
    for program in ("attested-get", "get-measurements"):
        done = run_tool(program, node.url, *asked)
        assert done.returncode == 1
        assert done.stdout == ""
        [line] = [line for line in done.stderr.splitlines() if "error" in line]
        assert "mrtd" in line
        assert "ab" * 48 in line
        assert MRTD in line


def test_simulated_hardware_is_refused_unless_its_root_is_named(node: Node) -> None:
    collateral = node.trust[:2]
    measurements = ["--expected-measurements", str(node.measurements)]
    done = run_tool("attested-get", node.url, *collateral, *measurements)
    assert done.returncode == 1
    assert "step B" in done.stderr


def test_json_for_machines(node: Node, tmp_path: Path) -> None:
    out = tmp_path / "measurements.json", tmp_path / "response"
    arguments = ["--out-measurements", str(out[0]), "--out-response", str(out[1])]
    done = run_tool("attested-get", node.url, *node.expecting, "--json", *arguments)
    document = json.loads(done.stdout)
    assert document["attestation_type"] == "dcap-tdx"
    assert document["measurement_id"] == "image-1"
    assert document["measurements"]["0"] == MRTD
    assert document["status"] == 200
    assert json.loads(out[0].read_text()) == document["measurements"]
    assert out[1].read_text() == document["body"]


def test_get_measurements_compares_nothing_and_says_so(node: Node) -> None:
    done = run_tool("get-measurements", "--addr", node.url, *node.trust)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["0"] == MRTD
    assert "nothing is compared" in done.stderr


def test_plain_clients_get_the_certificate_unattested(node: Node) -> None:
    served = curl("--insecure", node.url)
    assert served.startswith(b"-----BEGIN CERTIFICATE-----")
    named = f"https://node.example:{node.proxy.port}/cert"
    resolve = f"node.example:{node.proxy.port}:127.0.0.1"
    assert curl("--insecure", "--resolve", resolve, named) == served


def test_certificate_that_was_fetched_verifies_the_next_connection(
    node: Node, tmp_path: Path
) -> None:
    path = tmp_path / "node.pem"
    run_tool("attested-get", node.url, *node.expecting, "--out-response", str(path))
    assert curl("--cacert", str(path), node.url) == path.read_bytes()
    connect = f"127.0.0.1:{node.proxy.port}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", connect, "-CAfile", str(path), "-verify_return_error"],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert b"Verify return code: 0 (ok)" in done.stdout
    assert b"TLSv1.3" in done.stdout


def test_metrics_and_health_are_on_their_own_port(node: Node) -> None:
    health = f"http://127.0.0.1:{node.proxy.ports[0]}"
    assert json.loads(curl(f"{health}/readyz")) == {"status": "ok"}
    assert b"attested_proxy_peers_accepted_total" in curl(f"{health}/metrics")


@pytest.mark.parametrize("protocol", ["a", "b"])
def test_client_forwards_to_the_attested_server(node: Node, protocol: str) -> None:
    target = f"https://127.0.0.1:{node.proxy.port}"
    with proxy(
        "client",
        *("--listen-addr", "127.0.0.1:0", "--target-addr", target, "--protocol", protocol),
        *("--client-attestation-type", "dcap-tdx", "--tsm-dir", str(node.tsm_dir)),
        *node.trust,
        SERVER_MEASUREMENTS=str(node.measurements),
    ) as client:
        answer = curl("--include", f"http://127.0.0.1:{client.port}/cert").decode()
    assert f'X-Flashbots-Measurement: {{"0":"{MRTD}"' in answer
    assert answer.endswith("-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("protocol", ["a", "b"])
def test_both_ends_on_real_quotes(node: Node, protocol: str) -> None:
    with (
        proxy(
            "server",
            *("--listen-addr", "127.0.0.1:0", "--serve-certificate", "--log-json"),
            *("--tsm-dir", str(node.tsm_dir), "--client-measurements", str(node.measurements)),
            *node.trust,
        ) as server,
        proxy(
            "client",
            *("--listen-addr", "127.0.0.1:0", f"127.0.0.1:{server.port}", "--protocol", protocol),
            *("--client-attestation-type", "auto", "--tsm-dir", str(node.tsm_dir)),
            *("--server-measurements", str(node.measurements)),
            *node.trust,
        ) as client,
    ):
        assert curl(f"http://127.0.0.1:{client.port}/cert").startswith(b"-----BEGIN")
        direct = ["--insecure", "--head", f"https://127.0.0.1:{server.port}/cert"]
        with pytest.raises(subprocess.CalledProcessError):
            curl(*direct)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_on_a_signal(number: signal.Signals) -> None:
    arguments = ["--listen-addr", "127.0.0.1:0", "--serve-certificate"]
    with proxy("server", *arguments, "--server-attestation-type", "none") as server:
        server.popen.send_signal(number)
        assert server.popen.wait(STOP_DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("server", ["--listen-addr", "127.0.0.1:0"], "nothing to serve"),
        ("client", ["localhost:1"], "nothing says which peers are taken"),
        ("client", [], "target_addr is missing"),
        (
            "client",
            ["x:1", "--tls-ca-certificate", "/missing", "--server-attestation-type=none"],
            "cannot use /missing",
        ),
        ("server", ["x:1", "--server-attestation-type", "snp"], "unknown attestation type"),
        ("server", ["x:1", "--client-measurements", "/missing"], "cannot read /missing"),
    ],
)
def test_wrong_settings_are_one_line(verb: str, arguments: list[str], said: str) -> None:
    with pytest.raises(AssertionError, match=said), proxy(verb, *arguments):
        pass
