# SPDX-License-Identifier: MIT
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attestation.errors import PossessionError
from buildernet.attestation.node import ProofKind, sign_possession, verify_possession
from tests.support.minted_pki import NOW

CHALLENGE = b"c" * 40


def certificate_of(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    issuer = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(issuer, SHA256())
    )


KEYS: dict[ProofKind, Any] = {
    ProofKind.ECDSA_SHA256: ec.generate_private_key(ec.SECP384R1()),
    ProofKind.RSA_PSS_SHA256: rsa.generate_private_key(65537, 2048),
    ProofKind.ED25519: ed25519.Ed25519PrivateKey.generate(),
}
CERTIFICATES = {kind: certificate_of(key) for kind, key in KEYS.items()}


@pytest.mark.parametrize("kind", ProofKind)
def test_holder_of_the_key_is_believed_and_nobody_else(kind: ProofKind) -> None:
    certificate = CERTIFICATES[kind]
    proof = sign_possession(KEYS[kind], certificate, challenge=CHALLENGE)
    assert verify_possession(certificate, proof, challenge=CHALLENGE) is kind
    with pytest.raises(PossessionError):
        verify_possession(certificate, proof, challenge=b"d" * 40)
    for other in set(ProofKind) - {kind}:
        with pytest.raises(PossessionError):
            verify_possession(CERTIFICATES[other], proof, challenge=CHALLENGE)


def test_proof_is_for_one_certificate_of_a_key() -> None:
    key = KEYS[ProofKind.ECDSA_SHA256]
    proof = sign_possession(key, CERTIFICATES[ProofKind.ECDSA_SHA256], challenge=CHALLENGE)
    with pytest.raises(PossessionError):
        verify_possession(certificate_of(key), proof, challenge=CHALLENGE)


@pytest.mark.parametrize("challenge", [b"", b"x" * 129])
def test_challenge_has_a_length(challenge: bytes) -> None:
    with pytest.raises(PossessionError, match="challenge has"):
        verify_possession(CERTIFICATES[ProofKind.ED25519], b"", challenge=challenge)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - weak on purpose
        dsa.generate_private_key(1024),  # noqa: S505
    ],
)
def test_weak_or_other_keys_are_refused(key: Any) -> None:
    with pytest.raises(PossessionError):
        verify_possession(certificate_of(key), b"x", challenge=CHALLENGE)


@settings(max_examples=50)
@given(st.sampled_from(list(ProofKind)), st.binary(max_size=300))
def test_any_other_bytes_are_refused(kind: ProofKind, proof: bytes) -> None:
    with pytest.raises(PossessionError):
        verify_possession(CERTIFICATES[kind], proof, challenge=CHALLENGE)
