# SPDX-License-Identifier: MIT
"""TPM quotes without a TPM library: parser, signature, PCR digest."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import TPMQuoteFormatError, VerificationError
from buildernet.attestation.registers import Bank, Digest, Digest32, Digest48
from buildernet.attestation.tpm_quote import (
    MAX_QUOTE_BYTES,
    Scheme,
    TPMSignature,
    parse_tpm_quote,
    parse_tpmt_signature,
    verify_tpm_quote,
)
from tests.support.shared_data import shared_file
from tests.support.tpm_quotes import make_attest, sign_attest

KEY = ec.generate_private_key(ec.SECP256R1())
NONCE = bytes(range(32))
PCRS: dict[Bank, dict[int, Digest]] = {
    Bank.SHA256: {number: Digest32(bytes([number]) * 32) for number in (4, 9, 11)},
    Bank.SHA384: {7: Digest48(b"\x77" * 48)},
}
MESSAGE = make_attest(PCRS, NONCE)


def verify(message: bytes = MESSAGE, **changes: Any):
    arguments: dict[str, Any] = {
        "signature": sign_attest(KEY, message),
        "attestation_key": KEY.public_key(),
        "nonce": NONCE,
        "pcrs": PCRS,
        **changes,
    }
    return verify_tpm_quote(message, **arguments)


def test_good_quote_gives_its_fields():
    quote = verify()
    assert quote.selection == {Bank.SHA256: (4, 9, 11), Bank.SHA384: (7,)}
    assert (quote.nonce, quote.reset_count, quote.safe) == (NONCE, 3, True)


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        ("T1", {"attestation_key": rsa.generate_private_key(65537, 2048).public_key()}),
        ("T2", {"attestation_key": ec.generate_private_key(ec.SECP256R1()).public_key()}),
        ("T2", {"signature": sign_attest(KEY, MESSAGE + b"\0")}),
        ("T3", {"nonce": NONCE[::-1]}),
        ("T3", {"nonce": b""}),
        ("T3", {"nonce": NONCE[:31]}),
        ("T4", {"pcrs": {}}),
        ("T4", {"pcrs": {Bank.SHA256: PCRS[Bank.SHA256]}}),
        ("T4", {"pcrs": {**PCRS, Bank.SHA384: {8: Digest48(b"\x77" * 48)}}}),
        ("T4", {"pcrs": {**PCRS, Bank.SHA384: {7: Digest48(bytes(48)), 8: Digest48(bytes(48))}}}),
        ("T5", {"pcrs": {**PCRS, Bank.SHA384: {7: Digest48(b"\x78" * 48)}}}),
    ],
)
def test_each_step_refuses(step: str, changes: dict[str, Any]):
    with pytest.raises(VerificationError) as caught:
        verify(**changes)
    assert caught.value.step == step


def test_empty_nonce_in_the_quote_is_refused():
    message = make_attest(PCRS, b"")
    with pytest.raises(VerificationError, match="nonce"):
        verify(message, nonce=b"")


def test_quote_over_no_pcr_is_refused():
    message = make_attest({Bank.SHA256: {}}, NONCE)
    with pytest.raises(VerificationError, match="PCR selection"):
        verify(message, pcrs={})


def test_short_rsa_key_is_refused():
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- the point of the test
    signed = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(VerificationError, match="size of the attestation key"):
        verify(
            signature=TPMSignature(Scheme.RSASSA, Bank.SHA256, signed),
            attestation_key=key.public_key(),
        )


@pytest.mark.parametrize("scheme", [Scheme.RSASSA, Scheme.RSAPSS])
def test_rsa_signatures_pass(scheme: Scheme):
    key = rsa.generate_private_key(65537, 2048)
    pad: padding.AsymmetricPadding = padding.PKCS1v15()
    if scheme is Scheme.RSAPSS:
        pad = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    value = key.sign(MESSAGE, pad, hashes.SHA256())
    marshalled = scheme.to_bytes(2, "big") + b"\0\x0b" + len(value).to_bytes(2, "big") + value
    verify(signature=parse_tpmt_signature(marshalled), attestation_key=key.public_key())


def test_recorded_quote_is_parsed():
    quote = parse_tpm_quote(shared_file("attestation/dstack/tpm_quote_sample.bin").read_bytes())
    assert quote.nonce.hex() == "12345678"
    assert (quote.reset_count, quote.restart_count, quote.safe) == (16, 0, True)
    assert quote.selection == {Bank.SHA256: (0, 1, 2)}


@pytest.mark.parametrize("length", range(len(MESSAGE)))
def test_every_truncation_is_refused(length: int):
    with pytest.raises(TPMQuoteFormatError):
        parse_tpm_quote(MESSAGE[:length])


@pytest.mark.parametrize(
    ("offset", "value", "match"),
    [
        (0, 0, "magic"),
        (5, 0x17, "not a quote"),
        (92, 2, "not a boolean"),
        (104, 99, "selects 99 banks"),
        (106, 0xFF, "unknown bank"),
        (107, 5, "bitmap of 5"),
        (112, 0xB, "twice"),
    ],
)
def test_each_damage_is_named(offset: int, value: int, match: str):
    with pytest.raises(TPMQuoteFormatError, match=match):
        parse_tpm_quote(MESSAGE[:offset] + bytes([value]) + MESSAGE[offset + 1 :])


def test_left_over_and_oversized_bytes_are_refused():
    with pytest.raises(TPMQuoteFormatError, match="1 bytes after"):
        parse_tpm_quote(MESSAGE + b"\0")
    with pytest.raises(TPMQuoteFormatError, match="limit"):
        parse_tpm_quote(MESSAGE + bytes(MAX_QUOTE_BYTES))


@given(data=st.binary(max_size=200), at=st.integers(0, len(MESSAGE) - 1), bit=st.integers(0, 7))
def test_damage_raises_only_our_error(data: bytes, at: int, bit: int):
    flipped = bytearray(MESSAGE)
    flipped[at] ^= 1 << bit
    signature = sign_attest(KEY, MESSAGE)
    with pytest.raises((TPMQuoteFormatError, VerificationError)):
        verify(bytes(flipped), signature=signature)
    for parse in (parse_tpm_quote, parse_tpmt_signature):
        with pytest.raises(TPMQuoteFormatError):
            parse(data)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("0010000b0000", "unknown signature scheme"),
        ("001400040000", "hash 0x0004"),
        ("0014000b0001", "ends inside"),
        ("0014000bffff", "limit"),
        ("0018000b00020101", "ends inside"),
        ("0014000b00000000", "after its end"),
    ],
)
def test_damaged_signatures_are_named(text: str, match: str):
    with pytest.raises(TPMQuoteFormatError, match=match):
        parse_tpmt_signature(bytes.fromhex(text))
