# SPDX-License-Identifier: MIT
"""Certificates of Intel's SGX hierarchy, with each role kept apart.

`cryptography` parses; what a certificate may be used for is decided here: a PCK leaf cannot sign
TCB info, a TCB signer cannot issue.

Reference:
    Intel SGX PCK certificate and CRL profile specification 1.5; specs/attestation.md section 2.2.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from buildernet.attestation.errors import CertificateFormatError, VerificationError
from buildernet.attestation.verify.steps import Step, refusal

MAX_CHAIN_BYTES: Final = 16 * 1024
"""A PCK chain in PEM has about 3,700 bytes."""

MAX_CHAIN_CERTIFICATES: Final = 4
"""Intel's chains have two or three."""

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises about damaged DER, at parsing or at the first look at a field."""

_UNDERSTOOD: Final = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.CRLNumber.oid,
        x509.AuthorityKeyIdentifier.oid,
    }
)
"""Extensions whose meaning is checked; a critical one beside them is refused (RFC 5280, 4.2)."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which something is valid; both ends included."""

    step: Step
    what: str
    start: int
    end: int

    def check(self, at: int) -> None:
        """Raise `VerificationError` unless start <= at <= end (Unix times)."""
        if not self.start <= at <= self.end:
            valid = f"{_utc(self.start)} to {_utc(self.end)}"
            hint = "collateral is stale, fetch it again" if at > self.end else "is the clock right?"
            raise refusal(self.step, f"time of {self.what}", valid, _utc(at), hint=hint)


def _utc(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a year that no calendar has
        return str(moment)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate read whole, its signature not yet checked."""

    der: bytes
    common_name: str
    public_key: ec.EllipticCurvePublicKey
    serial_number: int
    not_before: int
    not_after: int
    is_authority: bool
    path_length: int | None
    may_sign_data: bool
    may_sign_certificates: bool
    key_identifier: bytes
    sgx_extension: bytes | None
    source: x509.Certificate = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Name and SHA-256, for errors: anybody can copy a name."""
        return f"{self.common_name} (sha256 {hashlib.sha256(self.der).hexdigest()})"

    def window(self, step: Step) -> Window:
        """When the certificate is valid."""
        return Window(step, f"certificate {self.common_name}", self.not_before, self.not_after)


SGX_EXTENSION: Final = x509.ObjectIdentifier("1.2.840.113741.1.13.1")


def read(what: str, parse: Callable[[], _Value]) -> _Value:
    """Run a parser of `cryptography` and turn its complaints into ours.

    Raises:
        CertificateFormatError: the parser refused.
    """
    try:
        return parse()
    except (*_UNREADABLE, x509.ExtensionNotFound) as exc:
        raise CertificateFormatError(f"{what} cannot be read: {str(exc)[:200]}") from exc


def parse_chain(pem: bytes, what: str) -> tuple[Certificate, ...]:
    """Parse certificates in PEM, leaf first.

    Raises:
        CertificateFormatError: not PEM, damaged, over a limit, or not of this profile (version 3,
            P-256, ECDSA with SHA-256, no critical extension that is not understood).
    """
    if len(pem) > MAX_CHAIN_BYTES:
        raise CertificateFormatError(f"{what} has {len(pem)} bytes, limit {MAX_CHAIN_BYTES}")
    certificates = read(what, lambda: x509.load_pem_x509_certificates(pem))
    if len(certificates) > MAX_CHAIN_CERTIFICATES:
        raise CertificateFormatError(f"{what} has {len(certificates)} certificates")
    return tuple(read(what, lambda c=c: _convert(c)) for c in certificates)  # type: ignore[misc] # bound in the loop


def _convert(source: x509.Certificate) -> Certificate:
    if source.version is not x509.Version.v3:
        raise ValueError("not a version 3 certificate")
    if source.serial_number <= 0:
        raise ValueError("serial number is not positive")
    if source.signature_algorithm_oid != x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise ValueError("not signed with ECDSA and SHA-256")
    public_key = source.public_key()
    if (
        not isinstance(public_key, ec.EllipticCurvePublicKey)
        or public_key.curve.name != "secp256r1"
    ):
        raise ValueError("key is not on P-256")
    check_critical(source.extensions)
    names = source.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if len(names) != 1 or not isinstance(names[0].value, str):
        raise ValueError("subject has not exactly one common name")
    constraints = source.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = source.extensions.get_extension_for_class(x509.KeyUsage).value
    identifier = source.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return Certificate(
        der=source.public_bytes(serialization.Encoding.DER),
        common_name=names[0].value,
        public_key=public_key,
        serial_number=source.serial_number,
        not_before=int(source.not_valid_before_utc.timestamp()),
        not_after=int(source.not_valid_after_utc.timestamp()),
        is_authority=constraints.ca,
        path_length=constraints.path_length,
        may_sign_data=usage.digital_signature,
        may_sign_certificates=usage.key_cert_sign and usage.crl_sign,
        key_identifier=identifier.digest,
        sgx_extension=_sgx_extension(source.extensions),
        source=source,
    )


def check_critical(extensions: x509.Extensions) -> None:
    """Raise ValueError if a critical extension is not understood."""
    for extension in extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise ValueError(f"critical extension {extension.oid.dotted_string} is not understood")


def _sgx_extension(extensions: x509.Extensions) -> bytes | None:
    for extension in extensions:
        if extension.oid == SGX_EXTENSION and isinstance(
            extension.value, x509.UnrecognizedExtension
        ):
            return extension.value.value
    return None


def check_authority(
    certificate: Certificate, step: Step, names: tuple[str, ...], depth: int
) -> None:
    """Check that a certificate is a CA of this role.

    Args:
        certificate: the CA.
        step: step to name in the error.
        names: one of these must be part of the common name.
        depth: CA certificates below it in the chain.

    Raises:
        VerificationError: another role.
    """
    _check_name(certificate, step, names)
    _require(certificate.is_authority, step, certificate, "a CA", "none")
    _require(certificate.may_sign_certificates, step, certificate, "keyCertSign and cRLSign", "not")
    length = certificate.path_length
    _require(length is None or length >= depth, step, certificate, f"path length {depth}", length)


def check_signer(certificate: Certificate, step: Step, name: str) -> None:
    """Check that a certificate signs data in this role and is no CA.

    Raises:
        VerificationError: another role.
    """
    _check_name(certificate, step, (name,))
    _require(not certificate.is_authority, step, certificate, "no CA", "a CA")
    _require(certificate.may_sign_data, step, certificate, "digitalSignature", "not")


def _check_name(certificate: Certificate, step: Step, names: tuple[str, ...]) -> None:
    if not any(name in certificate.common_name for name in names):
        raise refusal(step, "role of a certificate", " or ".join(names), certificate.common_name)


def _require(
    condition: bool, step: Step, certificate: Certificate, expected: object, actual: object
) -> None:
    if not condition:
        raise refusal(step, f"certificate {certificate.common_name}", expected, actual)


def check_issued(certificate: Certificate, issuer: Certificate, step: Step) -> None:
    """Check names and signature between two certificates.

    Raises:
        VerificationError: `issuer` did not issue `certificate`.
    """
    try:
        certificate.source.verify_directly_issued_by(issuer.source)
    except (InvalidSignature, *_UNREADABLE) as exc:
        raise _signature_refusal(
            step, f"certificate {certificate.common_name}", issuer.common_name
        ) from exc


def check_signature(
    key: ec.EllipticCurvePublicKey,
    signature: bytes,
    data: bytes,
    step: Step,
    what: str,
    signer: str,
) -> None:
    """Check an ECDSA P-256 signature r || s with SHA-256.

    Raises:
        VerificationError: not signed by this key.
    """
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as exc:
        raise _signature_refusal(step, what, signer) from exc


def _signature_refusal(step: Step, what: str, signer: str) -> VerificationError:
    return refusal(step, f"signature of {what}", f"made by {signer}", "another or none")
