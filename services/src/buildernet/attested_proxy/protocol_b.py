# SPDX-License-Identifier: MIT
"""Protocol B (`flashbots-ratls/1`): evidence in a frame after the handshake. No I/O.

Evidence is made over SHA-256(public key) || exporter, where the exporter belongs to this TLS
session alone. Byte level: docs/protocols/attested-tls-b.md.

Reference: SCALE codec (docs.polkadot.com), RFC 9266 (the exporter's label).
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from buildernet.attested_proxy.errors import DocumentError, PeerCertificateError
from buildernet.attested_proxy.evidence import AttestationType

ALPN_HTTP2: Final = b"flashbots-ratls/1+h2"
ALPN_HTTP1: Final = b"flashbots-ratls/1+http/1.1"
ALPN_PLAIN: Final = b"flashbots-ratls/1"
"""Without a suffix HTTP/1.1 is spoken too."""

ALPN: Final = (ALPN_HTTP1, ALPN_HTTP2, ALPN_PLAIN)
"""What we speak, in the order in which our client wants it: HTTP/1.1 costs half the time."""

EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"
EXPORTER_BYTES: Final = 32

MAX_FRAME_BYTES: Final = 64 * 1024
"""The reference refuses more."""

LENGTH_BYTES: Final = 4

_MAX_TYPE_BYTES: Final = 32
"""The longest known type has nine letters."""

_NO_KEY: Final = bytes(32)
_TAG_AND_LENGTH: Final = 2


def choose(offered: Sequence[bytes]) -> bytes | None:
    """Return the identifier a server answers with; None when the client speaks another protocol.

    The client's order counts: one that has a single connection needs HTTP/2 more than we do.
    """
    return next((protocol for protocol in offered if protocol in ALPN), None)


def report_input(leaf: x509.Certificate | None, exporter: bytes) -> bytes:
    """Return the 64 bytes that evidence is made over.

    Args:
        leaf: The prover's certificate; None when it has none.
        exporter: 32 bytes of keying material of this session.

    Raises:
        PeerCertificateError: The certificate's key cannot be read.
    """
    if leaf is None:
        return _NO_KEY + exporter
    try:
        der = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise PeerCertificateError("key of the peer's certificate cannot be read") from exc
    return hashlib.sha256(_subject_public_key(der)).digest() + exporter


def encode_frame(kind: AttestationType, evidence: bytes) -> bytes:
    """Return a frame with its length in front.

    Raises:
        DocumentError: It would exceed `MAX_FRAME_BYTES`.
    """
    name = kind.value.encode()
    body = _compact(len(name)) + name + _compact(len(evidence)) + evidence
    require_frame_size(len(body))
    return len(body).to_bytes(LENGTH_BYTES) + body


def require_frame_size(size: int) -> None:
    """Raise `DocumentError` when a frame of this many bytes is not taken."""
    if size > MAX_FRAME_BYTES:
        raise DocumentError(f"frame of {size} bytes, at most {MAX_FRAME_BYTES} are taken")


def parse_frame(body: bytes) -> tuple[AttestationType, bytes]:
    """Read a frame's body, without its length.

    Raises:
        DocumentError: It is malformed, of an unknown type, or has bytes left over.
    """
    require_frame_size(len(body))
    name, rest = _take(body, what="type", limit=_MAX_TYPE_BYTES)
    evidence, rest = _take(rest, what="evidence", limit=MAX_FRAME_BYTES)
    if rest:
        raise DocumentError(f"frame has {len(rest)} bytes after its evidence")
    try:
        kind = AttestationType(name.decode("ascii"))
    except ValueError as exc:
        raise DocumentError(f"unknown attestation type {name!r}") from exc
    if kind is AttestationType.NONE and evidence:
        raise DocumentError(f"frame of type none holds {len(evidence)} bytes of evidence")
    return kind, evidence


def _subject_public_key(der: bytes) -> bytes:
    """Return the contents of the BIT STRING in a SubjectPublicKeyInfo.

    It is the last element of the outer SEQUENCE, after the algorithm, and has no unused bits.
    """
    algorithm_at, _ = _element(der, 0)
    _, algorithm_end = _element(der, algorithm_at)
    start, end = _element(der, algorithm_end)
    return der[start + 1 : end]


def _element(der: bytes, at: int) -> tuple[int, int]:
    """Return start and end of the contents of the well-formed DER element at an offset."""
    first = der[at + 1]
    size_bytes = first & 0x7F if first & 0x80 else 0
    start = at + _TAG_AND_LENGTH + size_bytes
    size = int.from_bytes(der[at + _TAG_AND_LENGTH : start]) if size_bytes else first
    return start, start + size


def _compact(number: int) -> bytes:
    """SCALE compact integer; the two lowest bits tell how many bytes follow."""
    if number < 1 << 6:
        return (number << 2).to_bytes(1, "little")
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    return (number << 2 | 2).to_bytes(4, "little")


def _take(data: bytes, *, what: str, limit: int) -> tuple[bytes, bytes]:
    """Take one length-prefixed byte string off the front."""
    size_bytes = {0: 1, 1: 2, 2: 4}.get(data[0] & 3) if data else None
    if size_bytes is None or len(data) < size_bytes:
        raise DocumentError(f"frame has no length of its {what}")
    size = int.from_bytes(data[:size_bytes], "little") >> 2
    if _compact(size) != data[:size_bytes]:
        raise DocumentError(f"frame writes the length of its {what} in more bytes than needed")
    if size > limit:
        raise DocumentError(f"{what} of {size} bytes in a frame, at most {limit} are taken")
    end = size_bytes + size
    if end > len(data):
        raise DocumentError(f"frame ends inside its {what}")
    return data[size_bytes:end], data[end:]
