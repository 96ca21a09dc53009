# SPDX-License-Identifier: MIT
"""Certificates of a hub outside the TEE, by which its nodes know it."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from buildernet.attested_proxy.certificate import Identity


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """Files for the attested proxy before the hub, and what nodes are told."""

    certificate: Path
    key: Path
    sha256: str
    """The node's `SERVER_CERTIFICATE_SHA256`."""

    @property
    def server_flags(self) -> tuple[str, str]:
        """Return the proxy's flags."""
        return (
            f"--tls-certificate-path={self.certificate}",
            f"--tls-private-key-path={self.key}",
        )


def make_identity(
    *names: str, issuer: Identity | None = None, days: int = 30, authority: bool = False
) -> Identity:
    """Make a certificate.

    Args:
        names: Hosts it is for.
        issuer: Who signs it; None: itself.
        days: How long it is valid from a day ago, or -1 for one that has expired.
        authority: Whether it may sign others.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    role = "authority" if authority else "hub"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{role} of a test")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.leaf.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        listed = [_general_name(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    leaf = builder.sign(key if issuer is None else _signer(issuer), SHA256())
    return Identity(key, (leaf,))


def write_identity(folder: Path, *names: str) -> HubIdentity:
    """Make a self-signed certificate for a hub and write it and its key into a folder."""
    identity = make_identity(*names)
    folder.mkdir(exist_ok=True)
    certificate, key = folder / "hub-certificate.pem", folder / "hub-key.pem"
    certificate.write_bytes(identity.pem)
    key.write_bytes(
        _signer(identity).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return HubIdentity(certificate, key, identity.leaf.fingerprint(SHA256()).hex())


def _signer(identity: Identity) -> ec.EllipticCurvePrivateKey:
    assert isinstance(identity.key, ec.EllipticCurvePrivateKey)
    return identity.key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
