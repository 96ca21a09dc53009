# SPDX-License-Identifier: MIT
"""The evidence document of protocol A for Azure: what Go's encoding/json makes of go-tpm-tools.

Member names are those of that library's Go structures as `encoding/json` writes them (`ak_pub`,
`raw_sig`), not protobuf's JSON (`akPub`, `rawSig`).

Reference:
    specs/services.md section 2.3; docs/protocols/attested-tls-a.md.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.ak_chain import MAX_CHAIN, parse_padded_certificate
from buildernet.attestation.azure.evidence import VTPMQuote
from buildernet.attestation.azure.hcl import MAX_REPORT_BYTES, RuntimeClaims, parse_runtime_claims
from buildernet.attestation.errors import (
    AzureEvidenceFormatError,
    CertificateFormatError,
    DigestError,
    TPMQuoteFormatError,
)
from buildernet.attestation.registers import PCR_COUNT, Bank, Digest32
from buildernet.attestation.tpm_quote import (
    Scheme,
    encode_rsa_signature,
    parse_tpmt_signature,
)
from buildernet.base.strict_json import parse_json

MAX_DOCUMENT_BYTES: Final = 96 * 1024
"""OpenSSL takes certificates of 100 KiB; with Azure's event log a document has about 60."""

USER_DATA_BYTES: Final = 32
"""SHA-256 of the certificate's key."""

MAX_QUOTES: Final = 8
"""One per bank of PCRs; TPMs have up to four."""

_SHA256_ID: Final = 11
"""TPM_ALG_SHA256, the number of the library's enumeration."""


@dataclass(frozen=True, slots=True)
class AzureTPMDocument:
    """All that an Azure confidential VM shows in protocol A; nothing in it is believed yet."""

    quote: VTPMQuote
    """Of the SHA-256 bank; other banks' quotes are not read."""
    instance_info: bytes
    """JSON exactly as hashed into the quote's nonce; holds the next three."""
    tdx_quote: bytes
    runtime_data: bytes
    """JSON exactly as hashed into the TDX quote's report data."""
    claims: RuntimeClaims
    ak_certificate: x509.Certificate | None
    """None from every release of the reference so far: see `verify_azure_tpm_document`."""
    ak_issuers: tuple[x509.Certificate, ...]
    user_data: bytes
    """What the prover says it is bound to, 32 bytes."""


def encode_instance_info(
    *, tdx_quote: bytes, runtime_data: bytes, ak_certificate: x509.Certificate
) -> bytes:
    """Write what the vTPM's quote is made over, before there is a quote."""
    return _encode(
        {
            "AttestationReport": _base64(tdx_quote),
            "RuntimeData": _base64(runtime_data),
            "akCert": _base64(ak_certificate.public_bytes(Encoding.DER)),
        }
    )


def encode_azure_tpm_document(
    quote: VTPMQuote,
    *,
    instance_info: bytes,
    user_data: bytes,
    ak_public: bytes,
    ak_issuers: Sequence[x509.Certificate],
    event_log: bytes,
) -> bytes:
    """Write the document.

    Args:
        quote: over the nonce of `instance_info`.
        instance_info: see `encode_instance_info`.
        user_data: 32 bytes, hash of the certificate's key.
        ak_public: marshalled TPMT_PUBLIC of the attestation key; the reference reads it.
        ak_issuers: intermediates of the attestation key's certificate.
        event_log: of the firmware; the reference replays it, we do not read it.
    """
    pcrs = quote.pcrs[Bank.SHA256]
    attestation: dict[str, Any] = {
        "ak_pub": _base64(ak_public),
        "quotes": [
            {
                "quote": _base64(quote.message),
                "raw_sig": _base64(encode_rsa_signature(quote.signature)),
                "pcrs": {
                    "hash": _SHA256_ID,
                    "pcrs": {str(number): _base64(value) for number, value in pcrs.items()},
                },
            }
        ],
        "event_log": _base64(event_log),
    }
    if ak_issuers:
        attestation["intermediate_certs"] = [
            _base64(issuer.public_bytes(Encoding.DER)) for issuer in ak_issuers
        ]
    attestation["TeeAttestation"] = None
    return _encode(
        {
            "Attestation": attestation,
            "InstanceInfo": _base64(instance_info),
            "UserData": _base64(user_data),
        }
    )


def parse_azure_tpm_document(data: bytes) -> AzureTPMDocument:
    """Parse the document.

    Args:
        data: at most `MAX_DOCUMENT_BYTES`.

    Raises:
        AzureEvidenceFormatError: not that document, with a member twice, damaged or too large.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise AzureEvidenceFormatError(
            f"Azure document has {len(data)} bytes, the limit is {MAX_DOCUMENT_BYTES}"
        )
    try:
        document = _decode(data)
        attestation = document["Attestation"]
        instance_info = _bytes(document, "InstanceInfo")
        instance = _decode(instance_info)
        runtime_data = _bytes(instance, "RuntimeData")
        if len(runtime_data) > MAX_REPORT_BYTES:
            raise ValueError(f"RuntimeData has {len(runtime_data)} bytes")
        user_data = _bytes(document, "UserData")
        if len(user_data) != USER_DATA_BYTES:
            raise ValueError(f"UserData has {len(user_data)} bytes, not {USER_DATA_BYTES}")
        certificate = _bytes(instance, "akCert") if instance.get("akCert") else None
        return AzureTPMDocument(
            quote=_parse_quotes(attestation["quotes"]),
            instance_info=instance_info,
            tdx_quote=_bytes(instance, "AttestationReport"),
            runtime_data=runtime_data,
            claims=parse_runtime_claims(runtime_data),
            ak_certificate=None if certificate is None else parse_padded_certificate(certificate),
            ak_issuers=_parse_issuers(attestation.get("intermediate_certs") or []),
            user_data=user_data,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise AzureEvidenceFormatError(f"Azure document: {type(exc).__name__}: {exc}") from exc
    except (CertificateFormatError, DigestError, TPMQuoteFormatError) as exc:
        raise AzureEvidenceFormatError(f"Azure document: {exc}") from exc


def _parse_quotes(quotes: list[dict[str, Any]]) -> VTPMQuote:
    """Read the one quote of the SHA-256 bank; what is compared is what was signed."""
    if not isinstance(quotes, list) or len(quotes) > MAX_QUOTES:
        raise ValueError(f"no list of up to {MAX_QUOTES} quotes")
    found = [quote for quote in quotes if quote["pcrs"]["hash"] == _SHA256_ID]
    if len(found) != 1:
        raise ValueError(f"{len(found)} quotes of the sha256 bank, not one")
    pcrs = found[0]["pcrs"]["pcrs"]
    values = {int(number): Digest32(_bytes(pcrs, number)) for number in pcrs}
    if sorted(values) != list(range(PCR_COUNT)) or len(pcrs) != PCR_COUNT:
        raise ValueError(f"not the {PCR_COUNT} PCRs")
    signature = parse_tpmt_signature(_bytes(found[0], "raw_sig"))
    if (signature.scheme, signature.bank) != (Scheme.RSASSA, Bank.SHA256):
        raise ValueError(f"quote signed by {signature.scheme.name} with {signature.bank}")
    return VTPMQuote(_bytes(found[0], "quote"), signature.value, {Bank.SHA256: values})


def _parse_issuers(issuers: object) -> tuple[x509.Certificate, ...]:
    if not isinstance(issuers, list) or len(issuers) > MAX_CHAIN:
        raise ValueError(f"no list of up to {MAX_CHAIN} intermediate certificates")
    return tuple(parse_padded_certificate(_unbase64(issuer)) for issuer in issuers)


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _decode(data: bytes) -> dict[str, Any]:
    document = parse_json(data)
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return document


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(fields: dict[str, Any], name: str) -> bytes:
    return _unbase64(fields[name])


def _unbase64(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("bytes are no base64 text")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(str(exc)) from exc
