# SPDX-License-Identifier: MIT
"""Certificate revocation lists of the root and of the PCK CA (step C).

Reference:
    RFC 5280 section 5; specs/attestation.md section 2.4, C.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from buildernet.attestation.errors import CertificateFormatError
from buildernet.attestation.verify.certificates import (
    Certificate,
    Window,
    check_critical,
    read,
)
from buildernet.attestation.verify.steps import Step, refusal

MAX_CRL_BYTES: Final = 1 << 20
"""Intel's list for server platforms has 3 KiB and grows with every revoked platform."""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list whose signature was checked."""

    what: str
    window: Window
    source: x509.CertificateRevocationList = field(repr=False)

    def check(self, certificate: Certificate, step: Step) -> None:
        """Raise `VerificationError` if the certificate is on the list."""
        if self.source.get_revoked_certificate_by_serial_number(certificate.serial_number):
            serial = f"serial {certificate.serial_number:x}"
            raise refusal(
                step,
                f"certificate {certificate.common_name}",
                f"not on {self.what}",
                f"revoked, {serial}",
            )


def authenticate_crl(der: bytes, issuer: Certificate, what: str) -> RevocationList:
    """Parse a list and check that this CA signed it.

    Raises:
        CertificateFormatError: not a CRL, without number, key identifier or next update.
        VerificationError: of another issuer.
    """
    if len(der) > MAX_CRL_BYTES:
        raise CertificateFormatError(f"{what} has {len(der)} bytes, limit {MAX_CRL_BYTES}")
    crl = read(what, lambda: x509.load_der_x509_crl(der))
    window, is_named, is_signed = read(what, lambda: _inspect(crl, issuer, what))
    if not is_named:
        raise refusal(Step.PCK_CHAIN, f"issuer of {what}", issuer.common_name, "another")
    if not is_signed:
        raise refusal(Step.PCK_CHAIN, f"signature of {what}", issuer.common_name, "another or none")
    return RevocationList(what=what, window=window, source=crl)


def _inspect(
    crl: x509.CertificateRevocationList, issuer: Certificate, what: str
) -> tuple[Window, bool, bool]:
    """Return its times, whether it names the issuer, and whether the issuer signed it."""
    if crl.signature_algorithm_oid != x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise ValueError("not signed with ECDSA and SHA-256")
    check_critical(crl.extensions)
    crl.extensions.get_extension_for_class(x509.CRLNumber)
    authority = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    if crl.next_update_utc is None:
        raise ValueError("no next update")
    window = Window(
        Step.PCK_CHAIN,
        what,
        int(crl.last_update_utc.timestamp()),
        int(crl.next_update_utc.timestamp()),
    )
    for revoked in crl:  # a damaged entry must fail here, not at a look-up
        check_critical(revoked.extensions)
    is_named = (
        crl.issuer == issuer.source.subject and authority.key_identifier == issuer.key_identifier
    )
    return window, is_named, crl.is_signature_valid(issuer.public_key)
