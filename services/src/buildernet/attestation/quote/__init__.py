# SPDX-License-Identifier: MIT
"""TDX quotes as bytes and as values; standard library only, no cryptography."""

from buildernet.attestation.quote.body import (
    BodyType,
    TDAttributes,
    TDReport,
    TDReport15,
    TDReport15Ex,
)
from buildernet.attestation.quote.quote import MAX_QUOTE_BYTES, Header, Quote, parse_quote
from buildernet.attestation.quote.signature import (
    CertificationType,
    EnclaveReport,
    SignatureData,
)

__all__ = [
    "MAX_QUOTE_BYTES",
    "BodyType",
    "CertificationType",
    "EnclaveReport",
    "Header",
    "Quote",
    "SignatureData",
    "TDAttributes",
    "TDReport",
    "TDReport15",
    "TDReport15Ex",
    "parse_quote",
]
