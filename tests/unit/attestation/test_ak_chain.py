# SPDX-License-Identifier: MIT
"""Certificate chains of attestation keys."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.ak_chain import (
    MAX_CERTIFICATE_BYTES,
    MAX_CHAIN,
    parse_padded_certificate,
    verify_ak_chain,
)
from buildernet.attestation.errors import CertificateFormatError, PolicyError, VerificationError
from tests.support.tpm_quotes import AT, make_certificate

ROOT_KEY, CA_KEY, AK = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ROOT = make_certificate("root", ROOT_KEY)
CA = make_certificate("ca", CA_KEY, (ROOT, ROOT_KEY))
LEAF = make_certificate("ak", AK, (CA, CA_KEY), authority=False)
DAY = 86400


def verify(leaf: x509.Certificate = LEAF, **changes: Any):
    arguments: dict[str, Any] = {
        "issuers": [CA],
        "roots": [ROOT],
        "at": AT,
        "attestation_key": AK.public_key(),
        **changes,
    }
    return verify_ak_chain(leaf, **arguments)


def test_chain_is_returned_leaf_first():
    assert verify() == (LEAF, CA, ROOT)


def test_intermediate_can_be_the_anchor():
    assert verify(issuers=[], roots=[CA]) == (LEAF, CA)


def other_ca(**options: Any) -> tuple[x509.Certificate, x509.Certificate]:
    ca = make_certificate("other", CA_KEY, (ROOT, ROOT_KEY), **options)
    return make_certificate("ak", AK, (ca, CA_KEY), authority=False), ca


def refusals() -> list[tuple[str, x509.Certificate, dict[str, Any]]]:
    stranger = make_certificate("root", CA_KEY)
    no_authority, no_authority_ca = other_ca(authority=False)
    expired, expired_ca = other_ca(days=1)
    critical = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
    odd = make_certificate("ak", AK, (CA, CA_KEY), authority=False, critical=critical)
    tls = make_certificate(
        "ak", AK, (CA, CA_KEY), authority=False, usage=ExtendedKeyUsageOID.SERVER_AUTH
    )
    bare = make_certificate("ak", AK, (CA, CA_KEY), authority=False, usage=None)
    short = make_certificate("root", ROOT_KEY, path_length=0)
    return [
        ("T6", LEAF, {"issuers": []}),
        ("T6", LEAF, {"roots": [stranger]}),
        ("T6", LEAF, {"issuers": [CA] * (MAX_CHAIN + 1)}),
        ("T6", ROOT, {}),
        ("T7", LEAF, {"at": AT - 2 * DAY}),
        ("T7", LEAF, {"at": AT + 31 * DAY}),
        ("T7", expired, {"issuers": [expired_ca], "at": AT + 2 * DAY}),
        ("T8", no_authority, {"issuers": [no_authority_ca]}),
        ("T8", odd, {}),
        ("T8", LEAF, {"roots": [short]}),
        ("T9", tls, {}),
        ("T9", bare, {}),
        ("T9", LEAF, {"attestation_key": CA_KEY.public_key()}),
        ("T9", CA, {"attestation_key": CA_KEY.public_key()}),
    ]


@pytest.mark.parametrize(("step", "leaf", "changes"), refusals())
def test_each_step_refuses(step: str, leaf: x509.Certificate, changes: dict[str, Any]):
    with pytest.raises(VerificationError) as caught:
        verify(leaf, **changes)
    assert caught.value.step == step


def test_no_root_is_an_error_of_the_policy():
    with pytest.raises(PolicyError):
        verify(roots=[])


def test_padding_after_a_certificate_is_dropped():
    der = LEAF.public_bytes(Encoding.DER)
    assert parse_padded_certificate(der + bytes(100)) == LEAF


@given(data=st.binary(max_size=64), cut=st.integers(0, 300))
def test_damage_raises_only_our_error(data: bytes, cut: int):
    der = LEAF.public_bytes(Encoding.DER)
    for damaged in (data, der[:cut], bytes(MAX_CERTIFICATE_BYTES + 1)):
        with pytest.raises(CertificateFormatError):
            parse_padded_certificate(damaged)
