# SPDX-License-Identifier: MIT
"""A TDX quote, version 4 or 5, taken apart and not yet believed.

Reference:
    Intel TDX DCAP quoting library API, appendix A.3; specs/attestation.md sections 1.1 and 2.1.
"""

from dataclasses import dataclass
from typing import Final

from buildernet.attestation.errors import QuoteFormatError
from buildernet.attestation.quote.body import BODY_BYTES, BodyType, TDReport, parse_body
from buildernet.attestation.quote.reader import Reader
from buildernet.attestation.quote.signature import SignatureData, parse_signature_data

MAX_QUOTE_BYTES: Final = 32 * 1024
"""What configfs-tsm returned at most until 2026; a quote has about 5,000 bytes, padded 8,000."""

HEADER_BYTES: Final = 48
KEY_TYPE_ECDSA_P256: Final = 2
TEE_TYPE_TDX: Final = 0x81
INTEL_QE_VENDOR_ID: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")


@dataclass(frozen=True, slots=True)
class Header:
    """The first 48 bytes."""

    version: int
    attestation_key_type: int
    tee_type: int
    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes
    """20 bytes; the first 16 identify the quoting enclave's installation."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote whose every byte is accounted for."""

    raw: bytes
    """Without padding."""
    header: Header
    body_type: BodyType
    body: TDReport
    signed: bytes
    """Header, descriptor (version 5) and body: what the attestation key signed."""
    signature: SignatureData


def parse_quote(data: bytes) -> Quote:
    """Parse a quote; proves nothing about who made it.

    Zero bytes after the quote are padding of configfs-tsm and are dropped; anything else there is
    refused.

    Args:
        data: 1 to `MAX_QUOTE_BYTES` bytes.

    Raises:
        QuoteFormatError: not a TDX quote of version 4 or 5 signed with ECDSA P-256 by Intel's
            quoting enclave, cut short, or with bytes that no field describes.
    """
    if not data:
        raise QuoteFormatError(
            "the quote is empty", hint="the host's quote generation service is missing or too old"
        )
    if len(data) > MAX_QUOTE_BYTES:
        raise QuoteFormatError(f"quote has {len(data)} bytes, the limit is {MAX_QUOTE_BYTES}")
    reader = Reader(data, "quote")
    header = _parse_header(reader)
    body_type = _parse_descriptor(reader) if header.version == 5 else BodyType.TD_1_0
    body = parse_body(reader.take(BODY_BYTES[body_type], "the body"), body_type)
    signed = data[: reader.offset]
    signature = parse_signature_data(reader.sized("signature data"))
    raw = data[: reader.offset]
    if reader.rest().strip(b"\0"):
        raise QuoteFormatError(
            f"{len(data) - len(raw)} bytes follow the quote and are not zero padding"
        )
    return Quote(
        raw=raw,
        header=header,
        body_type=body_type,
        body=body,
        signed=signed,
        signature=signature,
    )


def _parse_header(reader: Reader) -> Header:
    header = Header(
        version=reader.u16("the version"),
        attestation_key_type=reader.u16("the attestation key type"),
        tee_type=reader.u32("the TEE type"),
        qe_svn=reader.u16("the QE SVN"),
        pce_svn=reader.u16("the PCE SVN"),
        qe_vendor_id=reader.take(16, "the QE vendor id"),
        user_data=reader.take(20, "the user data"),
    )
    _require("quote version", header.version, (4, 5))
    _require("attestation key type", header.attestation_key_type, (KEY_TYPE_ECDSA_P256,))
    _require("TEE type", header.tee_type, (TEE_TYPE_TDX,))
    if header.qe_vendor_id != INTEL_QE_VENDOR_ID:
        raise QuoteFormatError(
            f"QE vendor is {header.qe_vendor_id.hex()}, not Intel ({INTEL_QE_VENDOR_ID.hex()})"
        )
    return header


def _parse_descriptor(reader: Reader) -> BodyType:
    number, size = reader.u16("the body type"), reader.u32("the body size")
    _require("body type", number, tuple(BodyType))
    body_type = BodyType(number)
    _require(f"size of a {body_type.name} body", size, (BODY_BYTES[body_type],))
    return body_type


def _require(what: str, actual: int, legal: tuple[int, ...]) -> None:
    if actual not in legal:
        wanted = " or ".join(f"{value:d}" for value in legal)
        raise QuoteFormatError(f"{what} is {actual}, not {wanted}")
