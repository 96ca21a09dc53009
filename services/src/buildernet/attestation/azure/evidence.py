# SPDX-License-Identifier: MIT
"""The evidence document of protocols B and C for Azure: JSON with base64 members.

Reference:
    specs/services.md section 2.8; docs/protocols/evidence.md.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.ak_chain import MAX_CHAIN, parse_padded_certificate
from buildernet.attestation.errors import (
    AzureEvidenceFormatError,
    CertificateFormatError,
    DigestError,
)
from buildernet.attestation.registers import PCR_COUNT, Bank, Digest, Digest32

MAX_EVIDENCE_BYTES: Final = 128 * 1024
"""The limit of the reference implementation; recorded evidence has 22,000 to 31,000."""

_PEM_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_PEM_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class VTPMQuote:
    """What the vTPM signed, with the values it signed for."""

    message: bytes
    """Marshalled TPMS_ATTEST."""
    signature: bytes
    """RSASSA with SHA-256, the number alone."""
    pcrs: Mapping[Bank, Mapping[int, Digest]]


@dataclass(frozen=True, slots=True)
class AzureEvidence:
    """All that an Azure confidential VM shows; nothing in it is believed yet."""

    tdx_quote: bytes
    hcl_report: bytes
    quote: VTPMQuote
    ak_certificate: x509.Certificate
    ak_issuers: tuple[x509.Certificate, ...]
    """Intermediate certificates, at most `MAX_CHAIN`."""


def parse_azure_evidence(data: bytes) -> AzureEvidence:
    """Parse the JSON document.

    Args:
        data: at most `MAX_EVIDENCE_BYTES`.

    Raises:
        AzureEvidenceFormatError: not that document, damaged or too large.
    """
    if len(data) > MAX_EVIDENCE_BYTES:
        raise AzureEvidenceFormatError(
            f"Azure evidence has {len(data)} bytes, the limit is {MAX_EVIDENCE_BYTES}"
        )
    try:
        document = json.loads(data)
        attestation = document["tpm_attestation"]
        quote = attestation["quote"]
        issuers = attestation.get("ak_intermediate_certificates_pem") or []
        if not isinstance(issuers, list) or len(issuers) > MAX_CHAIN:
            raise AzureEvidenceFormatError(f"more than {MAX_CHAIN} intermediate certificates")
        pcrs = quote["pcrs"]
        if not isinstance(pcrs, list) or len(pcrs) != PCR_COUNT:
            raise AzureEvidenceFormatError(f"Azure evidence without a list of {PCR_COUNT} PCRs")
        values = {number: Digest32(_octets(value)) for number, value in enumerate(pcrs)}
        return AzureEvidence(
            tdx_quote=_base64url(document["tdx_quote_base64"]),
            hcl_report=_base64url(document["hcl_report_base64"]),
            quote=VTPMQuote(
                message=_octets(quote["message"]),
                signature=_octets(quote["signature"]),
                pcrs={Bank.SHA256: values},
            ),
            ak_certificate=_certificate(attestation["ak_certificate_pem"]),
            ak_issuers=tuple(_certificate(pem) for pem in issuers),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise AzureEvidenceFormatError(f"Azure evidence: {type(exc).__name__}: {exc}") from exc
    except (CertificateFormatError, DigestError) as exc:
        raise AzureEvidenceFormatError(f"Azure evidence: {exc}") from exc


def encode_azure_evidence(evidence: AzureEvidence) -> bytes:
    """Write the document that `parse_azure_evidence` reads."""
    pcrs = evidence.quote.pcrs[Bank.SHA256]
    document = {
        "tdx_quote_base64": base64.urlsafe_b64encode(evidence.tdx_quote).decode(),
        "hcl_report_base64": base64.urlsafe_b64encode(evidence.hcl_report).decode(),
        "tpm_attestation": {
            "ak_certificate_pem": _pem(evidence.ak_certificate),
            "ak_intermediate_certificates_pem": [_pem(issuer) for issuer in evidence.ak_issuers],
            "quote": {
                "signature": list(evidence.quote.signature),
                "message": list(evidence.quote.message),
                "pcrs": [list(pcrs[number]) for number in range(PCR_COUNT)],
            },
            "event_log": [],
            "instance_info": None,
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _base64url(text: object) -> bytes:
    """Decode the URL alphabet, padded or not; line breaks come from YAML and are dropped."""
    if not isinstance(text, str):
        raise AzureEvidenceFormatError("Azure evidence: base64 member is no string")
    packed = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise AzureEvidenceFormatError(f"Azure evidence: {exc}") from exc


def _octets(value: object) -> bytes:
    """Read a list of numbers 0 to 255: how serde writes bytes."""
    if not isinstance(value, list) or not all(type(octet) is int for octet in value):
        raise AzureEvidenceFormatError("Azure evidence: bytes are no list of numbers")
    return bytes(value)


def _certificate(pem: object) -> x509.Certificate:
    """Read PEM whose contents may be padded: Azure's NV index is longer than the certificate."""
    if not isinstance(pem, str) or not pem.strip().startswith(_PEM_BEGIN):
        raise AzureEvidenceFormatError("Azure evidence: certificate is not PEM")
    body = pem.strip().removeprefix(_PEM_BEGIN).removesuffix(_PEM_END)
    return parse_padded_certificate(base64.b64decode("".join(body.split()), validate=True))
