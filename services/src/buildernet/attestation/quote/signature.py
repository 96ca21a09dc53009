# SPDX-License-Identifier: MIT
"""What follows the body of a quote: signatures, the quoting enclave's report, certification data.

Reference:
    Intel TDX DCAP quoting library API, appendix A.4 (ECDSA quote signature data structure);
    specs/attestation.md section 2.1.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from buildernet.attestation.errors import QuoteFormatError
from buildernet.attestation.quote.reader import Reader

SIGNATURE_BYTES: Final = 64
PUBLIC_KEY_BYTES: Final = 64
QE_REPORT_BYTES: Final = 384


class CertificationType(IntEnum):
    """What certification data holds."""

    PPID_PLAIN = 1
    PPID_RSA_2048 = 2
    PPID_RSA_3072 = 3
    PCK_LEAF = 4
    PCK_CHAIN = 5
    QE_REPORT = 6
    PLATFORM_MANIFEST = 7


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """SGX report of the quoting enclave (QE)."""

    raw: bytes
    """384 bytes, as signed by the PCK key."""
    cpu_svn: bytes
    misc_select: int
    attributes: bytes
    """16 bytes: flags, then XFRM."""
    mrenclave: bytes
    mrsigner: bytes
    isv_prod_id: int
    isv_svn: int
    report_data: bytes
    """64 bytes: SHA-256 of attestation key and authentication data, then zeros."""


@dataclass(frozen=True, slots=True)
class SignatureData:
    """The signed part's signature and the chain of trust behind it, down to certificates."""

    quote_signature: bytes
    """r || s, 64 bytes, over header, descriptor and body."""
    attestation_key: bytes
    """x || y of a P-256 point, 64 bytes."""
    qe_report: EnclaveReport
    qe_report_signature: bytes
    """r || s, 64 bytes, by the PCK key."""
    qe_authentication: bytes
    """Free data hashed into the QE's report data; 32 bytes in practice."""
    certification_type: CertificationType
    """One of 1 to 5; 5 in practice."""
    certification: bytes
    """For type 5 the PCK chain in PEM, without the NUL behind it."""


def parse_enclave_report(data: bytes) -> EnclaveReport:
    """Parse an SGX report body.

    Raises:
        QuoteFormatError: not 384 bytes.
    """
    if len(data) != QE_REPORT_BYTES:
        raise QuoteFormatError(f"QE report has {len(data)} bytes, not {QE_REPORT_BYTES}")
    return EnclaveReport(
        raw=data,
        cpu_svn=data[:16],
        misc_select=int.from_bytes(data[16:20], "little"),
        attributes=data[48:64],
        mrenclave=data[64:96],
        mrsigner=data[128:160],
        isv_prod_id=int.from_bytes(data[256:258], "little"),
        isv_svn=int.from_bytes(data[258:260], "little"),
        report_data=data[320:384],
    )


def parse_signature_data(data: bytes) -> SignatureData:
    """Parse the signature data of an ECDSA P-256 quote.

    Raises:
        QuoteFormatError: cut short, of another type, or with bytes no field describes.
    """
    reader = Reader(data, "quote signature data")
    quote_signature = reader.take(SIGNATURE_BYTES, "the quote signature")
    attestation_key = reader.take(PUBLIC_KEY_BYTES, "the attestation key")
    outer_type = reader.u16("the certification type")
    if outer_type != CertificationType.QE_REPORT:
        raise QuoteFormatError(
            f"certification data is of type {outer_type}, not {CertificationType.QE_REPORT:d}"
        )
    inner = Reader(reader.sized("certification data"), "QE certification data")
    reader.finish()
    qe_report = parse_enclave_report(inner.take(QE_REPORT_BYTES, "the QE report"))
    qe_report_signature = inner.take(SIGNATURE_BYTES, "the QE report signature")
    authentication = inner.take(inner.u16("the QE authentication length"), "QE authentication data")
    inner_type = inner.u16("the inner certification type")
    if not CertificationType.PPID_PLAIN <= inner_type <= CertificationType.PCK_CHAIN:
        raise QuoteFormatError(f"inner certification data is of type {inner_type}, not 1 to 5")
    certification = inner.sized("inner certification data")
    inner.finish()
    return SignatureData(
        quote_signature=quote_signature,
        attestation_key=attestation_key,
        qe_report=qe_report,
        qe_report_signature=qe_report_signature,
        qe_authentication=authentication,
        certification_type=CertificationType(inner_type),
        certification=certification.rstrip(b"\0"),
    )
