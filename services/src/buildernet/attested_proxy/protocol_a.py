# SPDX-License-Identifier: MIT
"""Protocol A: nonces in TLS fields, evidence in a certificate extension. No I/O.

The verifier sends a nonce; the prover makes a certificate for it whose extension holds evidence
over SHA-256(SHA-256(public key) || nonce). Byte level: docs/protocols/attested-tls-a.md.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from buildernet.attested_proxy.errors import DocumentError, PeerCertificateError
from buildernet.attested_proxy.evidence import MAX_EVIDENCE_BYTES, AttestationType

NONCE_BYTES: Final = 32

COMMON_NAME: Final = "Constellation"
"""What the reference writes; nobody reads it, but a fixed name keeps us from standing out."""

VALIDITY: Final = timedelta(hours=2)
"""On either side of now, as the reference: clocks of the two ends may differ that much."""

_OIDS: Final = {
    AttestationType.DCAP_TDX: x509.ObjectIdentifier("1.3.9900.5.99"),
    AttestationType.AZURE_TDX: x509.ObjectIdentifier("1.3.9900.4.3"),
}
_HEADER_NAMES: Final = {
    AttestationType.DCAP_TDX: "qemu-tdx",
    AttestationType.AZURE_TDX: "azure-tdx",
}


@dataclass(frozen=True, slots=True)
class Binding:
    """What evidence of protocol A is made over."""

    user_data: bytes
    """SHA-256 of the DER SubjectPublicKeyInfo, 32 bytes."""
    extra_data: bytes
    """SHA-256(user data || nonce), 32 bytes."""

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey, nonce: bytes) -> "Binding":
        """Bind a certificate's key to the verifier's nonce."""
        user_data = hashlib.sha256(
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).digest()
        return cls(user_data, hashlib.sha256(user_data + nonce).digest())


def new_nonce() -> bytes:
    """Return 32 random bytes."""
    return secrets.token_bytes(NONCE_BYTES)


def encode_nonce(nonce: bytes) -> str:
    """Return a nonce as server name or CA common name: standard base64, 44 characters."""
    return base64.b64encode(nonce).decode()


def parse_server_name(name: bytes | None) -> bytes | None:
    """Return the nonce in a server name; None when it is an ordinary name or absent.

    Host names contain no `=`, which every encoded nonce ends with.
    """
    if name is None:
        return None
    try:
        return _parse_nonce(name)
    except DocumentError:
        return None


def parse_authorities(names: Sequence[Sequence[tuple[bytes, bytes]]]) -> bytes:
    """Return the nonce in the names of a CertificateRequest's authorities.

    Args:
        names: Of each authority its (type, value) pairs.

    Raises:
        DocumentError: There is not exactly one authority with exactly one common name.
    """
    if len(names) != 1:
        raise DocumentError(f"server names {len(names)} authorities instead of one with its nonce")
    common_names = [value for kind, value in names[0] if kind == b"CN"]
    if len(common_names) != 1:
        raise DocumentError("the server's authority has no single common name")
    return _parse_nonce(common_names[0])


def oid_of(kind: AttestationType) -> x509.ObjectIdentifier:
    """Return the certificate extension that holds evidence of a type."""
    return _OIDS[_family(kind)]


def header_name(kind: AttestationType) -> str:
    """Return the type as the reference writes it into headers."""
    return _HEADER_NAMES[_family(kind)]


def build_certificate(
    key: ec.EllipticCurvePrivateKey,
    *,
    now: datetime,
    common_name: str = COMMON_NAME,
    extension: tuple[x509.ObjectIdentifier, bytes] | None = None,
) -> x509.Certificate:
    """Return a self-signed certificate for one connection.

    Args:
        key: Its P-256 key.
        now: Validity is centred on it.
        common_name: Subject and issuer.
        extension: Evidence document, written raw into the extension's value.
    """
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALIDITY)
        .not_valid_after(now + VALIDITY)
    )
    if extension is not None:
        oid, document = extension
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, document), critical=False)
    return builder.sign(key, SHA256())


def verify_certificate(
    chain: Sequence[x509.Certificate], *, now: datetime
) -> ec.EllipticCurvePublicKey:
    """Check a peer's certificate by itself and return its key.

    Raises:
        PeerCertificateError: There is not exactly one, it is not self-signed, not valid now, or its
            key is not on P-256.
    """
    if len(chain) != 1:
        raise PeerCertificateError(f"peer sent {len(chain)} certificates, expected 1")
    certificate = chain[0]
    try:
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise PeerCertificateError("peer's certificate has no P-256 key")
        certificate.verify_directly_issued_by(certificate)
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as exc:
        raise PeerCertificateError("peer's certificate is not signed by its own key") from exc
    if not start <= now <= end:
        raise PeerCertificateError(f"peer's certificate is valid from {start} to {end}, not now")
    return key


def find_document(certificate: x509.Certificate) -> tuple[AttestationType, bytes] | None:
    """Return the evidence document in a certificate; None when it has none.

    Raises:
        DocumentError: It has several, or one that is too large.
        PeerCertificateError: Its extensions cannot be parsed.
    """
    types = {oid: kind for kind, oid in _OIDS.items()}
    try:
        extensions = list(certificate.extensions)
    except (ValueError, x509.DuplicateExtension) as exc:
        raise PeerCertificateError(f"peer's certificate has bad extensions: {exc}") from exc
    found = [
        (types[extension.oid], extension.value.value)
        for extension in extensions
        if extension.oid in types and isinstance(extension.value, x509.UnrecognizedExtension)
    ]
    if len(found) > 1:
        raise DocumentError("peer's certificate has more than one evidence document")
    if found and len(found[0][1]) > MAX_EVIDENCE_BYTES:
        raise DocumentError(
            f"evidence of {len(found[0][1])} bytes, at most {MAX_EVIDENCE_BYTES} are taken"
        )
    return found[0] if found else None


def _family(kind: AttestationType) -> AttestationType:
    """Protocol A has one name for every plain TDX quote, wherever the machine stands."""
    if kind is AttestationType.AZURE_TDX:
        return kind
    return AttestationType.DCAP_TDX


def _parse_nonce(text: bytes) -> bytes:
    try:
        nonce = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise DocumentError("nonce is not base64") from exc
    if len(nonce) != NONCE_BYTES:
        raise DocumentError(f"nonce of {len(nonce)} bytes, expected {NONCE_BYTES}")
    return nonce
