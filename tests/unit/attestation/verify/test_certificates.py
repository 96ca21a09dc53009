# SPDX-License-Identifier: MIT
"""Damaged certificates and collateral raise our errors and nothing else."""

import base64
from dataclasses import fields, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import CertificateFormatError
from buildernet.attestation.verify.certificates import (
    MAX_CHAIN_BYTES,
    check_issued,
    parse_chain,
)
from buildernet.attestation.verify.steps import Step
from buildernet.base.errors import BuildernetError
from tests.support.minted_pki import issue
from tests.support.quote_verification import CHAIN, COLLATERAL, verify

# cryptography warns of a serial number that a flipped bit made negative; we refuse it.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")


def test_negative_serial_number_is_refused() -> None:
    der = bytearray(CHAIN.pck.der)
    number = CHAIN.pck.certificate.serial_number
    encoded = number.to_bytes(number.bit_length() // 8 + 1)  # as DER: with a zero before a high bit
    der[der.index(encoded)] |= 0x80
    pem = (
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    )
    with pytest.raises(CertificateFormatError, match="not positive"):
        parse_chain(pem, "chain")


@given(data=st.data())
def test_damaged_collateral_is_refused(data: Any) -> None:
    name = data.draw(st.sampled_from([field.name for field in fields(Collateral)][:-1]))
    whole = getattr(COLLATERAL, name)
    position = data.draw(st.integers(0, len(whole) * 8 - 1))
    damaged = bytearray(whole)
    damaged[position // 8] ^= 1 << position % 8
    if data.draw(st.booleans()):
        damaged = damaged[: position // 8]
    changed: dict[str, Any] = {name: bytes(damaged)}
    try:
        verify(collateral=replace(COLLATERAL, **changed))
    except BuildernetError:
        return
    assert name.endswith("chain"), "only PEM has bits without meaning"


@given(st.integers(0, len(CHAIN.pck.der) * 8 - 1))
def test_a_flipped_bit_breaks_a_certificate(position: int) -> None:
    damaged = bytearray(CHAIN.pck.der)
    damaged[position // 8] ^= 1 << position % 8
    body = base64.encodebytes(bytes(damaged))
    pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    (issuer,) = parse_chain(CHAIN.authority.pem, "issuer")
    with pytest.raises(BuildernetError):
        check_issued(parse_chain(pem, "chain")[0], issuer, Step.PCK_CHAIN)


@pytest.mark.parametrize(
    "pem", [b"", b"text", b"x" * (MAX_CHAIN_BYTES + 1), CHAIN.root.pem * 5, CHAIN.root.der]
)
def test_what_is_no_chain_is_refused(pem: bytes) -> None:
    with pytest.raises(CertificateFormatError):
        parse_chain(pem, "chain")


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1(), ec.SECP224R1()])
def test_key_on_another_curve_is_refused(curve: ec.EllipticCurve) -> None:
    """Its signature is right, and by ECDSA with SHA-256: the curve alone is wrong."""
    other = issue("other", CHAIN.root, key=ec.generate_private_key(curve))
    with pytest.raises(CertificateFormatError, match="not on P-256"):
        parse_chain(other.pem, "chain")


def test_certificate_is_read_whole() -> None:
    (root,) = parse_chain(CHAIN.root.pem, "chain")
    assert root.der == CHAIN.root.certificate.public_bytes(Encoding.DER)
    assert (root.is_authority, root.path_length, root.may_sign_data) == (True, 1, False)
    assert root.fingerprint.startswith("SIMULATED SGX Root CA (sha256 ")
