# SPDX-License-Identifier: MIT
"""What a node sends to the hub, and that evidence and proofs in it are about the node itself."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from buildernet.attestation.node import NodeStatement, key_digest, verify_possession
from buildernet.attestation.policy import parse_measurement_policy
from buildernet.attestation.quote import parse_quote
from buildernet.base.errors import ConfigError
from buildernet.node import own_evidence, registration
from buildernet.node.errors import RegistrationError
from buildernet.node.registration_config import RegistrationConfig
from tests.support.hub_nodes import make_certificate
from tests.support.minted_chain import Domain, shared_chain

ADDRESS = "0x" + "ab" * 20
CHALLENGE = b"c" * 40
NOW = 1_790_000_000


class FakeHub:
    """Remembers what is posted."""

    def __init__(self) -> None:
        self.posted: dict[str, dict[str, Any]] = {}
        self.refuse = ""

    def ask(
        self, _endpoint: str, path: str, document: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        if path == self.refuse:
            raise RegistrationError("refused")
        if document is None:
            return {"challenge": f"0x{CHALLENGE.hex()}"}
        self.posted[path.rpartition("/")[2]] = document
        return {}


class FakeQuotes:
    """Quotes of a simulated machine."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def check(self) -> None: ...

    def quote(self, report_data: bytes) -> bytes:
        return shared_chain().quote(Domain(report_data=report_data))


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def certificate(key):
    return make_certificate(key)


@pytest.fixture
def config(tmp_path, key, certificate) -> RegistrationConfig:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "address").write_text(f"{ADDRESS}\n")
    return RegistrationConfig(
        certificate_dir=tmp_path,
        address_file=tmp_path / "address",
        ip_address="127.0.0.2",
        measurements_file=tmp_path / "measurements.json",
    )


@pytest.fixture
def hub(monkeypatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(registration, "ask_hub", fake.ask)
    monkeypatch.setattr(own_evidence, "TSMQuotes", FakeQuotes)
    return fake


def test_the_certificate_is_registered_with_proof_of_its_key(config, hub, certificate):
    registration.register(config, now=lambda: NOW)
    posted = hub.posted["instance"]
    assert posted["tls_cert"] == certificate.public_bytes(Encoding.PEM).decode()
    proof = bytes.fromhex(posted["tls_cert_signature"][2:])
    verify_possession(certificate, proof, challenge=CHALLENGE)


def test_the_evidence_is_about_this_key_address_and_moment(config, hub, certificate):
    registration.register(config, now=lambda: NOW + 0.9)
    posted = hub.posted["tee_attestation"]
    statement = NodeStatement(
        node_id=bytes(12) + bytes.fromhex(ADDRESS[2:]),
        tls_key=key_digest(certificate),
        address=bytes.fromhex(ADDRESS[2:]),
        ip_address="127.0.0.2",
        timestamp=NOW,
    )
    quote = parse_quote(bytes.fromhex(posted["tee_attestation"][2:]))
    assert quote.body.report_data == statement.report_data()
    assert posted["node_id"] == f"0x{statement.node_id.hex()}"
    assert posted["ecdsa_pubkey_address"] == ADDRESS
    assert (posted["timestamp"], posted["ip_address"]) == (NOW, "127.0.0.2")
    assert len(bytes.fromhex(posted["tee_measurement"][2:])) == 5 * 48


def test_own_measurements_are_written_though_the_hub_refuses(config, hub):
    hub.refuse = "/api/l1-builder/v1/register_credentials/instance/challenge"
    with pytest.raises(RegistrationError, match="refused"):
        registration.register(config)
    policy = parse_measurement_policy((config.certificate_dir / "measurements.json").read_bytes())
    assert len(policy.records) == 1
    assert hub.posted == {}


def test_own_measurements_stay_the_same_file(config, hub):
    registration.register(config)
    before = (config.certificate_dir / "measurements.json").stat()
    registration.register(config)
    assert (config.certificate_dir / "measurements.json").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("setting", "sent"),
    [
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:0db8:0:0::1", "2001:db8::1"),
        ("::FFFF:1.2.3.4", "1.2.3.4"),
    ],
)
def test_the_address_is_sent_as_the_hub_writes_it(config, hub, setting, sent):
    registration.register(replace(config, ip_address=setting))
    assert hub.posted["tee_attestation"]["ip_address"] == sent


class FakeSocket:
    """Knows the way over some families only."""

    ways: ClassVar[dict[int, str]] = {}

    def __init__(self, family: int, _kind: int) -> None:
        self.family = family

    def __enter__(self) -> "FakeSocket":
        return self

    def __exit__(self, *_: object) -> None: ...

    def connect(self, _address: tuple[str, int]) -> None:
        if self.family not in self.ways:
            raise OSError(101, "Network is unreachable")

    def getsockname(self) -> tuple[str, int]:
        return self.ways[self.family], 1


@pytest.mark.parametrize(
    ("ways", "found"),
    [
        ({socket.AF_INET: "10.0.0.1", socket.AF_INET6: "2001:db8::2"}, "10.0.0.1"),
        ({socket.AF_INET6: "2001:db8::2"}, "2001:db8::2"),
    ],
)
def test_the_own_address_is_found_over_what_there_is(monkeypatch, ways, found):
    monkeypatch.setattr(FakeSocket, "ways", ways)
    monkeypatch.setattr(socket, "socket", FakeSocket)
    assert registration.find_own_address() == found


def test_without_a_way_out_it_is_said(monkeypatch):
    monkeypatch.setattr(socket, "socket", FakeSocket)
    with pytest.raises(RegistrationError, match="INET: Network is unreachable, INET6"):
        registration.find_own_address()


def test_what_is_registered_is_what_was_checked(config, hub, certificate, monkeypatch):
    def read_and_replace(cert: Path, key: Path) -> str:
        both = key.read_text() + cert.read_text()
        cert.write_text("a rotation began")
        key.write_text("meanwhile")
        return both

    monkeypatch.setattr(registration, "read_pair", read_and_replace)
    registration.register(config)
    posted = hub.posted["instance"]
    assert posted["tls_cert"] == certificate.public_bytes(Encoding.PEM).decode()
    proof = bytes.fromhex(posted["tls_cert_signature"][2:])
    verify_possession(certificate, proof, challenge=CHALLENGE)


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_pair_that_cannot_be_read_is_our_error(config, hub, monkeypatch, text):
    monkeypatch.setattr(registration, "read_pair", lambda *_: text)
    with pytest.raises(RegistrationError, match="cannot be read"):
        registration.register(config)
    assert hub.posted == {}


@pytest.mark.parametrize("text", ["", "0x12", "zz" * 20, "0x" + "ab" * 21])
def test_without_an_address_nothing_is_registered(config, hub, text):
    (config.certificate_dir / "address").write_text(text)
    with pytest.raises(RegistrationError, match="holds no address"):
        registration.register(config)
    assert hub.posted == {}


def test_a_machine_without_a_tee_is_told_so(config, hub, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(own_evidence, "azure_quotes", lambda _post: None)
    with pytest.raises(RegistrationError, match="gives no evidence: no TDX guest at"):
        own_evidence.make_evidence(bytes(64), tsm_dir=config.certificate_dir / "none" / "none")


def test_a_wrong_setting_is_refused():
    for address in ("nowhere", "fe80::1%eth0", "1.2.3.4/32"):
        with pytest.raises(ConfigError, match="ip_address"):
            RegistrationConfig(ip_address=address)
    with pytest.raises(ConfigError, match="interval_s"):
        RegistrationConfig(interval_s=0)
