# SPDX-License-Identifier: MIT
"""Proof that whoever registers a TLS certificate holds its key: a signature over a challenge.

Without it a node could register another's certificate, and senders would refuse the real one. The
challenge names builder and service (the registry made it for them) and soon expires.

Reference: docs/protocols/orderflow-hub.md, section "Proof of possession".
"""

import hashlib
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.errors import PossessionError

DOMAIN: Final = b"buildernet-key-possession/1\0"
"""In front of every transcript; longer than any prefix TLS or X.509 signs with these keys."""

MAX_CHALLENGE_BYTES: Final = 128

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Larger keys make one verification take tens of milliseconds."""

_PSS: Final = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=SHA256.digest_size)


class ProofKind(StrEnum):
    """Signature schemes, by the key of the certificate."""

    ECDSA_SHA256 = "ecdsa-sha256"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    ED25519 = "ed25519"


PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def possession_transcript(certificate: x509.Certificate, *, challenge: bytes) -> bytes:
    """Return the bytes to sign: domain, challenge with its length, hash of the certificate.

    Raises:
        PossessionError: The challenge is empty or longer than `MAX_CHALLENGE_BYTES`.
    """
    if not 1 <= len(challenge) <= MAX_CHALLENGE_BYTES:
        raise PossessionError(f"challenge has {len(challenge)} bytes")
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return DOMAIN + len(challenge).to_bytes(1) + challenge + digest


def sign_possession(key: PrivateKey, certificate: x509.Certificate, *, challenge: bytes) -> bytes:
    """Return the proof for a certificate, made with its key."""
    transcript = possession_transcript(certificate, challenge=challenge)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(transcript, ec.ECDSA(SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(transcript, _PSS, SHA256())
    return key.sign(transcript)


def verify_possession(
    certificate: x509.Certificate, signature: bytes, *, challenge: bytes
) -> ProofKind:
    """Check a proof.

    Returns:
        The scheme that was used; it follows from the certificate's key.

    Raises:
        PossessionError: The key is of another kind or size, or did not sign this challenge.
    """
    transcript = possession_transcript(certificate, challenge=challenge)
    try:
        key = certificate.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, transcript, ec.ECDSA(SHA256()))
            return ProofKind.ECDSA_SHA256
        if isinstance(key, rsa.RSAPublicKey):
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise PossessionError(f"RSA key of {key.key_size} bits")
            key.verify(signature, transcript, _PSS, SHA256())
            return ProofKind.RSA_PSS_SHA256
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, transcript)
            return ProofKind.ED25519
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as exc:
        raise PossessionError(
            "the certificate's key did not sign this challenge",
            hint="ask for a new challenge and sign it with the key of the first certificate",
        ) from exc
    raise PossessionError("key of the certificate is neither EC, RSA nor Ed25519")
