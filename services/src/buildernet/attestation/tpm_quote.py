# SPDX-License-Identifier: MIT
"""TPM 2.0 quotes: parse TPMS_ATTEST and TPMT_SIGNATURE, check them against an attestation key.

No TPM library: a third party verifies with `cryptography` alone. That the attestation key lives in
a genuine TPM is not decided here; `ak_chain` and `azure` do that.

| step | check |
|---|---|
| T1 | the attestation key's type fits the signature |
| T2 | the attestation key signed the message |
| T3 | the nonce is the expected one |
| T4 | the quote covers exactly the PCRs whose values are given |
| T5 | the values hash to the quoted digest |

Reference:
    TCG TPM 2.0 Library Part 2, sections 10.12.8 (TPMS_ATTEST), 10.9 (PCR selections) and 11.3.4
    (TPMT_SIGNATURE); specs/attestation.md section 4.1.
"""

import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from buildernet.attestation.errors import StepRecord, TPMQuoteFormatError, VerificationError
from buildernet.attestation.registers import PCR_COUNT, Bank, Digest

MAX_QUOTE_BYTES: Final = 1024
"""All PCRs of one bank give 145 bytes, of four banks 200."""

MAX_SIGNATURE_BYTES: Final = 1024
"""RSA-4096 has 512 bytes and a 6 byte header."""

MAX_SELECTIONS: Final = 8
"""One per bank; the TCG registry has fewer algorithms in use."""

MAX_SELECTION_OCTETS: Final = 4
"""Bitmap of 24 PCRs takes 3; TPMs with 32 take 4."""

MIN_RSA_BITS: Final = 2048
"""Every TPM since 2014 has it, and less is no longer safe."""

MAGIC: Final = 0xFF544347
TYPE_QUOTE: Final = 0x8018

_SHA256_ID: Final = 0xB
_BANK_OF_ID: Final = {0x4: Bank.SHA1, _SHA256_ID: Bank.SHA256, 0xC: Bank.SHA384, 0xD: Bank.SHA512}
_HASH: Final[Mapping[Bank, type[hashes.HashAlgorithm]]] = MappingProxyType(
    {Bank.SHA256: hashes.SHA256, Bank.SHA384: hashes.SHA384, Bank.SHA512: hashes.SHA512}
)


class Scheme(IntEnum):
    """Signature schemes of attestation keys, by TPM_ALG_ID."""

    RSASSA = 0x0014
    RSAPSS = 0x0016
    ECDSA = 0x0018


@dataclass(frozen=True, slots=True)
class TPMSignature:
    """A signature and how it was made."""

    scheme: Scheme
    bank: Bank
    """Hash of the signature and of the PCR digest; never SHA-1."""
    value: bytes
    """RSA: the number, big endian; ECDSA: DER of r and s."""


@dataclass(frozen=True, slots=True)
class TPMQuote:
    """What a TPM signed."""

    message: bytes
    """The signed bytes."""
    qualified_signer: bytes
    """Name of the attestation key within its hierarchy."""
    nonce: bytes
    """`extraData`: what the verifier asked to have included, at most 66 bytes."""
    clock_ms: int
    reset_count: int
    restart_count: int
    safe: bool
    """False: the clock may have gone backwards."""
    firmware_version: int
    selection: Mapping[Bank, tuple[int, ...]]
    """The quoted PCRs, in the order of their digest."""
    pcr_digest: bytes


class _Reader:
    """Big endian fields; a short read names the field."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    def take(self, count: int, field: str) -> bytes:
        if count > len(self._data) - self._at:
            raise TPMQuoteFormatError(f"{self._what} ends inside {field} at byte {self._at}")
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def number(self, size: int, field: str) -> int:
        return int.from_bytes(self.take(size, field), "big")

    def sized(self, limit: int, field: str) -> bytes:
        size = self.number(2, field)
        if size > limit:
            raise TPMQuoteFormatError(
                f"{self._what}: {field} has {size} bytes, the limit is {limit}"
            )
        return self.take(size, field)

    def end(self) -> None:
        if self._at != len(self._data):
            raise TPMQuoteFormatError(
                f"{self._what} has {len(self._data) - self._at} bytes after its end"
            )


def parse_tpm_quote(message: bytes) -> TPMQuote:
    """Parse a TPMS_ATTEST that holds a quote.

    Args:
        message: at most `MAX_QUOTE_BYTES`.

    Raises:
        TPMQuoteFormatError: another structure, cut short, or with bytes left over.
    """
    if len(message) > MAX_QUOTE_BYTES:
        raise TPMQuoteFormatError(
            f"TPM quote has {len(message)} bytes, the limit is {MAX_QUOTE_BYTES}"
        )
    reader = _Reader(message, "TPM quote")
    if (magic := reader.number(4, "magic")) != MAGIC:
        raise TPMQuoteFormatError(f"not made inside a TPM: magic 0x{magic:08x}, not 0x{MAGIC:08x}")
    if (kind := reader.number(2, "type")) != TYPE_QUOTE:
        raise TPMQuoteFormatError(f"not a quote: attestation type 0x{kind:04x}")
    signer = reader.sized(_NAME_BYTES, "qualifiedSigner")
    nonce = reader.sized(_NAME_BYTES, "extraData")
    clock, resets, restarts, safe, firmware = _CLOCK.unpack(reader.take(_CLOCK.size, "clockInfo"))
    if safe > 1:
        raise TPMQuoteFormatError(f"clockInfo.safe is {safe}, not a boolean")
    selection = _parse_selection(reader)
    pcr_digest = reader.sized(_NAME_BYTES, "pcrDigest")
    reader.end()
    return TPMQuote(
        message, signer, nonce, clock, resets, restarts, bool(safe), firmware, selection, pcr_digest
    )


_NAME_BYTES: Final = 66
"""Hash algorithm and SHA-512: the largest name, nonce and digest."""
_CLOCK: Final = struct.Struct(">QIIBQ")


def _parse_selection(reader: _Reader) -> Mapping[Bank, tuple[int, ...]]:
    count = reader.number(4, "pcrSelect count")
    if count > MAX_SELECTIONS:
        raise TPMQuoteFormatError(f"TPM quote selects {count} banks, the limit is {MAX_SELECTIONS}")
    selection: dict[Bank, tuple[int, ...]] = {}
    for _ in range(count):
        bank = _BANK_OF_ID.get(algorithm := reader.number(2, "pcrSelect hash"))
        if bank is None:
            raise TPMQuoteFormatError(f"TPM quote selects an unknown bank 0x{algorithm:04x}")
        octets = reader.number(1, "pcrSelect size")
        if octets > MAX_SELECTION_OCTETS:
            raise TPMQuoteFormatError(f"PCR bitmap of {octets} bytes")
        bitmap = int.from_bytes(reader.take(octets, "pcrSelect bitmap"), "little")
        if bitmap >> PCR_COUNT:
            raise TPMQuoteFormatError(f"TPM quote selects PCRs above {PCR_COUNT - 1}")
        if bank in selection:
            raise TPMQuoteFormatError(f"TPM quote selects the bank {bank} twice")
        selection[bank] = tuple(number for number in range(PCR_COUNT) if bitmap >> number & 1)
    return MappingProxyType(selection)


def parse_tpmt_signature(data: bytes) -> TPMSignature:
    """Parse a marshalled TPMT_SIGNATURE.

    Raises:
        TPMQuoteFormatError: unknown scheme or hash, SHA-1, cut short, or with bytes left over.
    """
    reader = _Reader(data, "TPM signature")
    algorithm = reader.number(2, "scheme")
    if algorithm not in set(Scheme):
        raise TPMQuoteFormatError(f"unknown signature scheme 0x{algorithm:04x}")
    bank = _BANK_OF_ID.get(hash_id := reader.number(2, "hash"))
    if bank is None or bank not in _HASH:
        raise TPMQuoteFormatError(f"signature with the hash 0x{hash_id:04x}")
    scheme = Scheme(algorithm)
    if scheme is Scheme.ECDSA:
        r, s = (int.from_bytes(reader.sized(_NAME_BYTES, name), "big") for name in ("r", "s"))
        value = utils.encode_dss_signature(r, s)
    else:
        value = reader.sized(MAX_SIGNATURE_BYTES, "signature")
    reader.end()
    return TPMSignature(scheme, bank, value)


def encode_rsa_signature(value: bytes) -> bytes:
    """Marshal a TPMT_SIGNATURE of RSASSA with SHA-256: all that Azure's vTPM makes."""
    return struct.pack(">HHH", Scheme.RSASSA, _SHA256_ID, len(value)) + value


def compute_pcr_digest(
    hash_bank: Bank,
    selection: Mapping[Bank, tuple[int, ...]],
    pcrs: Mapping[Bank, Mapping[int, Digest]],
) -> Digest:
    """Hash selected PCR values the way TPM2_Quote does: banks as selected, PCRs ascending.

    Args:
        hash_bank: hash of the signature scheme.
        selection: banks in the order of the quote.
        pcrs: a value for everything selected.
    """
    return hash_bank.digest(
        b"".join(pcrs[bank][number] for bank, numbers in selection.items() for number in numbers)
    )


def verify_tpm_quote(
    message: bytes,
    *,
    signature: TPMSignature,
    attestation_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    nonce: bytes,
    pcrs: Mapping[Bank, Mapping[int, Digest]],
) -> TPMQuote:
    """Check steps T1 to T5: this key signed exactly these PCR values with this nonce.

    Args:
        message: the marshalled TPMS_ATTEST.
        signature: made over `message`.
        attestation_key: must be trusted by other means.
        nonce: expected `extraData`, at least one byte.
        pcrs: the values the prover claims, all of them and no others.

    Raises:
        TPMQuoteFormatError: `message` is no quote.
        VerificationError: a step failed; the message names it and the difference.
    """
    quote = parse_tpm_quote(message)
    try:
        _verify_signature(message, signature, attestation_key)
        _verify_contents(quote, signature.bank, nonce, pcrs)
    except VerificationError as error:
        error.passed = tuple(
            record for record in describe_tpm_quote(quote, signature) if record.step < error.step
        )
        raise
    return quote


def describe_tpm_quote(quote: TPMQuote, signature: TPMSignature) -> tuple[StepRecord, ...]:
    """Return the records of steps T1 to T5 for a quote that passed them."""
    return (
        StepRecord(
            "T1",
            "attestation key's type fits the signature",
            (f"{signature.scheme.name} with {signature.bank}",),
        ),
        StepRecord("T2", "TPM quote is signed by the attestation key", ()),
        StepRecord("T3", "TPM quote is made for the nonce", (quote.nonce.hex(),)),
        StepRecord("T4", "TPM quote covers the PCRs given", (_describe(quote.selection),)),
        StepRecord(
            "T5",
            "PCRs given hash to the quoted digest",
            (f"{quote.reset_count} resets of the TPM",),
        ),
    )


def _verify_contents(
    quote: TPMQuote,
    hash_bank: Bank,
    nonce: bytes,
    pcrs: Mapping[Bank, Mapping[int, Digest]],
) -> None:
    """Steps T3 to T5."""
    if not nonce or not hmac.compare_digest(quote.nonce, nonce):
        raise VerificationError(
            "nonce of the TPM quote",
            step="T3",
            expected=nonce.hex() or "a nonce",
            actual=quote.nonce.hex(),
        )
    given = {bank: tuple(sorted(values)) for bank, values in pcrs.items() if values}
    selected = {bank: numbers for bank, numbers in quote.selection.items() if numbers}
    if not selected or given != selected:
        raise VerificationError(
            "PCR selection", step="T4", expected=_describe(given), actual=_describe(selected)
        )
    digest = compute_pcr_digest(hash_bank, quote.selection, pcrs)
    if not hmac.compare_digest(digest, quote.pcr_digest):
        raise VerificationError(
            "digest of the PCR values",
            step="T5",
            expected=quote.pcr_digest.hex(),
            actual=digest.hex(),
            hint="the PCR values that came with the quote are not the ones the TPM signed",
        )


def _describe(selection: Mapping[Bank, tuple[int, ...]]) -> str:
    return (
        " ".join(f"{bank}:{','.join(map(str, numbers))}" for bank, numbers in selection.items())
        or "nothing"
    )


def _verify_signature(
    message: bytes,
    signature: TPMSignature,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
) -> None:
    algorithm = _HASH[signature.bank]()
    is_ecdsa = signature.scheme is Scheme.ECDSA
    if isinstance(key, rsa.RSAPublicKey) is is_ecdsa:
        raise VerificationError(
            "type of the attestation key",
            step="T1",
            expected="EC" if is_ecdsa else "RSA",
            actual="RSA" if is_ecdsa else "EC",
        )
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature.value, message, ec.ECDSA(algorithm))
            return
        if key.key_size < MIN_RSA_BITS:
            raise VerificationError(
                "size of the attestation key", step="T1", expected=MIN_RSA_BITS, actual=key.key_size
            )
        scheme: padding.PKCS1v15 | padding.PSS = padding.PKCS1v15()
        if signature.scheme is Scheme.RSAPSS:
            scheme = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
        key.verify(signature.value, message, scheme, algorithm)
    except InvalidSignature as exc:
        raise VerificationError(
            "signature of the TPM quote is not by the attestation key", step="T2"
        ) from exc
