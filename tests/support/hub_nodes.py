# SPDX-License-Identifier: MIT
"""Nodes as the hub sees them: certificates, signing keys, and evidence about both."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.node import NodeStatement, key_digest, sign_possession
from buildernet.ethereum.signature import SigningKey, sign_body
from tests.support.builder_hub import IP, REGISTERS
from tests.support.minted_chain import Domain, shared_chain
from tests.support.minted_pki import MINTED_AT, NOW


def make_certificate(
    key: ec.EllipticCurvePrivateKey, *, days: int = 1, name: str = "node"
) -> x509.Certificate:
    """Return a self-signed certificate that is valid when the simulated chain is."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, SHA256())
    )


@dataclass
class SimulatedNode:
    """One node: keys, certificate, and what it says about itself."""

    ip: str = IP
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    signing: SigningKey = field(default_factory=SigningKey.generate)
    timestamp: int = MINTED_AT
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = make_certificate(self.key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def address(self) -> str:
        return f"0x{self.signing.address.raw.hex()}"

    @property
    def node_id(self) -> str:
        return "0x" + bytes(12).hex() + self.address[2:]

    def statement(self) -> NodeStatement:
        return NodeStatement(
            node_id=bytes.fromhex(self.node_id[2:]),
            tls_key=key_digest(self.certificate),
            address=self.signing.address.raw,
            ip_address=self.ip,
            timestamp=self.timestamp,
        )

    def quote(self, **domain: Any) -> bytes:
        """Return simulated evidence about this node."""
        report_data = self.statement().report_data()
        return shared_chain().quote(replace(Domain(report_data=report_data), **domain))

    def attestation_request(self, **changes: Any) -> dict[str, Any]:
        """Return a `TeeAttestationRequest`."""
        return {
            "node_id": self.node_id,
            "tee_measurement": "0x" + "".join(REGISTERS.values()),
            "ip_address": self.ip,
            "timestamp": self.timestamp,
            "attestation_type": "dcap-tdx",
            "tls_certificate": self.pem,
            "tee_attestation": f"0x{self.quote().hex()}",
            "ecdsa_pubkey_address": self.address,
            **changes,
        }

    def prove_certificate(self, challenge: str) -> dict[str, Any]:
        """Return the parts of a registration that prove the certificate."""
        proof = sign_possession(self.key, self.certificate, challenge=bytes.fromhex(challenge[2:]))
        return {
            "tls_cert": self.pem,
            "challenge": challenge,
            "tls_cert_signature": f"0x{proof.hex()}",
        }

    def sign(self, body: bytes) -> dict[str, str]:
        """Return the header that signs a body."""
        return {"X-BuilderNet-Signature": sign_body(self.signing, body)}
