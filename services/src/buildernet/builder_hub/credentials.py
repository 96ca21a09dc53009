# SPDX-License-Identifier: MIT
"""What an instance registers for a service, and the proofs that it holds the keys.

Reference: docs/protocols/orderflow-hub.md, sections "Registration" and "Proof of possession".
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from buildernet.attestation.errors import PossessionError
from buildernet.attestation.node import verify_possession
from buildernet.builder_hub.errors import BadRequestError, UnprovedError
from buildernet.builder_hub.limits import (
    CHALLENGE_SECONDS,
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
)
from buildernet.builder_hub.names import parse_address, parse_region
from buildernet.ethereum.errors import SignatureError
from buildernet.ethereum.signature import BUILDERNET_SIGNATURE, verify_body

SIGNATURE_HEADER: Final = BUILDERNET_SIGNATURE

MAX_SIGNATURE_BYTES: Final = 1024
"""RSA with 8192 bits."""

_CHAIN: Final = re.compile(
    r"[ \t\r\n]*(?:-----BEGIN CERTIFICATE-----[A-Za-z0-9+/= \t\r\n]+"
    r"-----END CERTIFICATE-----[ \t\r\n]*)+"
)
"""Nothing beside the certificates: the text goes to every node of the network as it is."""

_TEXT: Final = re.compile(r"[ -~\t\r\n]+")
"""What every database can store."""

_EXPIRY_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """One registration."""

    tls_cert: str | None
    """PEM, as it was sent."""
    ecdsa_address: str | None
    region: str
    is_proved: bool
    """Whether the caller showed that it holds every key in it."""


@dataclass(frozen=True, slots=True)
class Challenges:
    """Makes challenges and knows its own again, without remembering any."""

    key: bytes
    clock: Callable[[], float]

    def new(self, builder: str, service: str) -> tuple[bytes, int]:
        """Return a challenge for one builder and service, and when it expires (Unix time)."""
        expires_at = int(self.clock()) + CHALLENGE_SECONDS
        expiry = expires_at.to_bytes(_EXPIRY_BYTES)
        return expiry + self._tag(expiry, builder, service), expires_at

    def require(self, challenge: bytes, *, builder: str, service: str) -> None:
        """Raise unless a challenge is ours, for these, and has not expired.

        Raises:
            UnprovedError: It is not.
        """
        expiry, tag = challenge[:_EXPIRY_BYTES], challenge[_EXPIRY_BYTES:]
        if not hmac.compare_digest(tag, self._tag(expiry, builder, service)):
            raise UnprovedError("the challenge was not made for this builder and service")
        if int.from_bytes(expiry) < self.clock():
            raise UnprovedError("the challenge has expired, ask for a new one")

    def _tag(self, expiry: bytes, builder: str, service: str) -> bytes:
        message = b"\0".join((expiry, builder.encode(), service.encode()))
        return hmac.digest(self.key, message, hashlib.sha256)


def parse_certificates(text: str) -> tuple[x509.Certificate, ...]:
    """Read a PEM chain, leaf first; nothing but certificates and blanks may be in it.

    Raises:
        BadRequestError: It is none, or too long.
    """
    data = text.encode(errors="replace")
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise BadRequestError(f"tls_cert is larger than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        if _CHAIN.fullmatch(text) is None:
            raise ValueError("it holds something else than certificates")
        chain = tuple(x509.load_pem_x509_certificates(data))
        chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise BadRequestError("tls_cert is not a certificate in PEM") from exc
    if len(chain) > MAX_CERTIFICATES:
        raise BadRequestError(f"tls_cert has more than {MAX_CERTIFICATES} certificates")
    return chain


def require_valid(certificate: x509.Certificate, *, at: float) -> None:
    """Raise unless a certificate has not expired.

    Raises:
        BadRequestError: It has.
    """
    if certificate.not_valid_after_utc < datetime.fromtimestamp(at, UTC):
        raise BadRequestError(f"tls_cert expired at {certificate.not_valid_after_utc:%Y-%m-%dT%XZ}")


# Any: JSON, before it is checked.
def parse_credentials(
    document: Mapping[str, Any],
    body: bytes,
    *,
    builder: str,
    service: str,
    signature: str | None,
    challenges: Challenges,
    now: float,
    any_text: bool = False,
) -> Credentials:
    """Read a registration and check the proofs it brings.

    Args:
        document: The parsed body.
        body: The body as it was sent, which the signature header signs.
        builder: Who registers.
        service: For which service.
        signature: Value of `X-BuilderNet-Signature`.
        challenges: Knows the hub's challenges.
        now: Unix time.
        any_text: Take a `tls_cert` that is no certificate, as one that nothing proves.

    Raises:
        BadRequestError: A part is malformed, or there is no credential.
        UnprovedError: A proof is there and wrong.
    """
    text, address = document.get("tls_cert") or None, document.get("ecdsa_pubkey_address") or None
    if text is None and address is None:
        raise BadRequestError("no credentials provided")
    if text is not None and not isinstance(text, str):
        raise BadRequestError("tls_cert is not text")
    chain = () if text is None else _read_chain(text, now=now, any_text=any_text)
    address = None if address is None else parse_address(address)
    challenge = _hexadecimal(document, "challenge")
    if challenge is not None:
        challenges.require(challenge, builder=builder, service=service)
    tls_proof = _hexadecimal(document, "tls_cert_signature")
    proved = bool(chain) or text is None
    if chain:
        proved = _prove_certificate(chain[0], tls_proof, challenge)
    if address is not None:
        proved = _prove_address(address, signature, body, challenge) and proved
    return Credentials(text, address, parse_region(document.get("region") or ""), proved)


def _read_chain(text: str, *, now: float, any_text: bool) -> tuple[x509.Certificate, ...]:
    """Return the certificates, the first one valid; none for other text where that is taken."""
    try:
        chain = parse_certificates(text)
        require_valid(chain[0], at=now)
    except BadRequestError:
        if any_text and len(text) <= MAX_CERTIFICATE_BYTES and _TEXT.fullmatch(text):
            return ()
        raise
    return chain


def _prove_certificate(
    leaf: x509.Certificate, proof: bytes | None, challenge: bytes | None
) -> bool:
    if proof is None:
        return False
    if challenge is None:
        raise UnprovedError("tls_cert_signature without the challenge it signs")
    try:
        verify_possession(leaf, proof, challenge=challenge)
    except PossessionError as exc:
        raise UnprovedError(exc.message) from exc
    return True


def _prove_address(
    address: str, signature: str | None, body: bytes, challenge: bytes | None
) -> bool:
    """Check the signature over the body, which holds the challenge."""
    if not signature:
        return False
    try:
        signer = verify_body(signature, body)
    except SignatureError as exc:
        raise UnprovedError(exc.message) from exc
    if signer.raw.hex() != address.removeprefix("0x"):
        raise UnprovedError(f"{SIGNATURE_HEADER} is of another key than ecdsa_pubkey_address")
    # Without a challenge an old registration could be sent again by whoever saw it.
    return challenge is not None


# Any: as above.
def _hexadecimal(document: Mapping[str, Any], name: str) -> bytes | None:
    text = document.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadRequestError(f"{name} is not 0x and hexadecimal digits")
    try:
        data = bytes.fromhex(text[2:])
    except ValueError as exc:
        raise BadRequestError(f"{name} is not 0x and hexadecimal digits") from exc
    if len(data) > MAX_SIGNATURE_BYTES or not data:
        raise BadRequestError(f"{name} has {len(data)} bytes")
    return data
