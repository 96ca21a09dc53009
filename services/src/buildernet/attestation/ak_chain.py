# SPDX-License-Identifier: MIT
"""Certificate chains of TPM attestation keys: from the key to a root the verifier names.

| step | check |
|---|---|
| T6 | each certificate is signed by the next, and the last by a trusted root |
| T7 | every certificate is valid at the given time |
| T8 | the issuers are certificate authorities, with path lengths respected |
| T9 | the first certificate is one for attestation keys, and holds this key |

Revocation is not looked at: Azure's attestation key certificates name no revocation list.

Reference:
    RFC 5280, section 6.1; TCG EK Credential Profile 2.5 (tcg-kp-AIKCertificate);
    specs/attestation.md section 4.
"""

import datetime
from collections.abc import Sequence
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from buildernet.attestation.errors import CertificateFormatError, PolicyError, VerificationError

MAX_CHAIN: Final = 8
"""Azure has three certificates, Google three; the limit is of protocol B's evidence."""

MAX_CERTIFICATE_BYTES: Final = 8192
"""Azure's NV index has 4096 bytes, of which the certificate fills a quarter."""

AIK_CERTIFICATE: Final = x509.ObjectIdentifier("2.23.133.8.3")
"""tcg-kp-AIKCertificate: the extended key usage of attestation keys."""

_T = TypeVar("_T", bound=x509.ExtensionType)

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""Critical extensions that are checked here, or that say nothing about trust."""


def parse_padded_certificate(data: bytes) -> x509.Certificate:
    """Parse a DER certificate that zeros or other bytes may follow, as in a TPM's NV index.

    Raises:
        CertificateFormatError: no certificate at the start, or too large.
    """
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise CertificateFormatError(
            f"certificate has {len(data)} bytes, the limit is {MAX_CERTIFICATE_BYTES}"
        )
    # SEQUENCE with a two-byte length: every certificate has 256 bytes to 64 KiB.
    if data[:2] != b"\x30\x82":
        raise CertificateFormatError("attestation key certificate is not DER")
    end = 4 + int.from_bytes(data[2:4], "big")
    try:
        return x509.load_der_x509_certificate(data[:end])
    except ValueError as exc:
        raise CertificateFormatError(f"attestation key certificate: {exc}") from exc


def verify_ak_chain(
    leaf: x509.Certificate,
    *,
    issuers: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: int,
    attestation_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
) -> tuple[x509.Certificate, ...]:
    """Check steps T6 to T9.

    Args:
        leaf: certificate of the attestation key.
        issuers: untrusted, in any order, at most `MAX_CHAIN`.
        roots: trusted; their own validity counts.
        at: Unix time.
        attestation_key: the key the certificate must be about.

    Returns:
        The chain, leaf first, root last.

    Raises:
        PolicyError: no roots.
        CertificateFormatError: an extension is damaged.
        VerificationError: a step failed.
    """
    if not roots:
        raise PolicyError("no trusted root for attestation key certificates")
    if len(issuers) > MAX_CHAIN:
        raise VerificationError(
            "length of the chain", step="T6", expected=f"at most {MAX_CHAIN}", actual=len(issuers)
        )
    try:
        chain = _find_chain(leaf, issuers, roots)
        moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
        for depth, certificate in enumerate(chain):
            _verify_validity(certificate, moment)
            _verify_extensions(certificate, issuers_below=depth - 1)
        _verify_leaf(leaf, attestation_key)
    except (ValueError, TypeError) as exc:  # cryptography's view of damaged certificates
        raise CertificateFormatError(f"attestation key certificate chain: {exc}") from exc
    return chain


def _find_chain(
    leaf: x509.Certificate,
    issuers: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
) -> tuple[x509.Certificate, ...]:
    chain = [leaf]
    while chain[-1] not in roots:
        issuer = next((c for c in (*roots, *issuers) if _issued(c, chain[-1])), None)
        if issuer is None or len(chain) > MAX_CHAIN or issuer in chain:
            raise VerificationError(
                "attestation key certificate does not lead to a trusted root",
                step="T6",
                expected=" or ".join(_name(root.subject) for root in roots),
                actual=_name(chain[-1].issuer),
                hint="add the missing intermediate certificate, or trust its root explicitly",
            )
        chain.append(issuer)
    if len(chain) == 1:
        raise VerificationError("attestation key certificate is itself a root", step="T6")
    return tuple(chain)


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    if issuer.subject != subject.issuer:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()


def _verify_validity(certificate: x509.Certificate, moment: datetime.datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= moment <= end:
        raise VerificationError(
            f"validity of {_name(certificate.subject)}",
            step="T7",
            expected=f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
            actual=f"{moment:%Y-%m-%d %H:%M} UTC",
        )


def _verify_extensions(certificate: x509.Certificate, *, issuers_below: int) -> None:
    """`issuers_below` is -1 for the leaf: a leaf needs no authority."""
    name = _name(certificate.subject)
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise VerificationError(
                f"unknown critical extension {extension.oid.dotted_string} of {name}", step="T8"
            )
    if issuers_below < 0:
        return
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca or usage is None or not usage.key_cert_sign:
        raise VerificationError(f"{name} is not a certificate authority", step="T8")
    limit = constraints.path_length
    if limit is not None and issuers_below > limit:
        raise VerificationError(
            f"path length of {name}", step="T8", expected=f"at most {limit}", actual=issuers_below
        )


def _verify_leaf(
    leaf: x509.Certificate, attestation_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
) -> None:
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    if usages is None or AIK_CERTIFICATE not in usages:
        raise VerificationError(
            "extended key usage of the attestation key certificate",
            step="T9",
            expected=AIK_CERTIFICATE.dotted_string,
            actual=" ".join(usage.dotted_string for usage in usages or ()) or "none",
        )
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise VerificationError("attestation key certificate is an authority's", step="T9")
    if _spki(leaf.public_key()) != _spki(attestation_key):
        raise VerificationError(
            "attestation key certificate is about another key than the one that signed", step="T9"
        )


def _extension(certificate: x509.Certificate, kind: type[_T]) -> _T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _spki(key: object) -> bytes:
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise VerificationError(f"attestation key of type {type(key).__name__}", step="T9")
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
