# SPDX-License-Identifier: MIT
"""What a node says about itself and has its evidence bound to. Byte level: orderflow-hub.md.

The evidence's report data is the SHA-512 of the encoded statement, so evidence fits one node, one
TLS key, one address and one moment. The moment is the node's own clock inside the TEE.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from buildernet.attestation.errors import NodeStatementError

DOMAIN: Final = b"buildernet-node-statement/1\0"
"""In front of every statement, so that it can be mistaken for nothing else that is signed."""

NODE_ID_BYTES: Final = 32
KEY_DIGEST_BYTES: Final = 32
ADDRESS_BYTES: Final = 20

MAX_TIMESTAMP: Final = 1 << 40
"""Seconds: the year 36000; a timestamp in milliseconds is above it, and so is nonsense."""

MAX_IP_BYTES: Final = 45
"""The longest text of an IPv6 address, one that ends in an IPv4 address."""


@dataclass(frozen=True, slots=True)
class NodeStatement:
    """One node at one moment.

    Raises:
        NodeStatementError: A field has another length or range.
    """

    node_id: bytes
    """32 bytes, not all zero."""
    tls_key: bytes
    """SHA-256 of the DER SubjectPublicKeyInfo of the node's TLS certificate."""
    address: bytes | None
    """20 bytes: the key that signs the node's requests; None when it has none."""
    ip_address: str
    """Where the node is reached, as it is registered."""
    timestamp: int
    """Unix time in seconds."""

    def __post_init__(self) -> None:
        _require("node_id", len(self.node_id) == NODE_ID_BYTES and any(self.node_id))
        _require("tls_key", len(self.tls_key) == KEY_DIGEST_BYTES)
        _require("address", self.address is None or len(self.address) == ADDRESS_BYTES)
        _require("timestamp", 0 < self.timestamp < MAX_TIMESTAMP)
        _require(
            "ip_address", self.ip_address.isascii() and 0 < len(self.ip_address) <= MAX_IP_BYTES
        )

    def encode(self) -> bytes:
        """Return the bytes that are hashed."""
        ip_address = self.ip_address.encode("ascii")
        return (
            DOMAIN
            + self.node_id
            + self.tls_key
            + (self.address or bytes(ADDRESS_BYTES))
            + self.timestamp.to_bytes(8)
            + len(ip_address).to_bytes(1)
            + ip_address
        )

    def report_data(self) -> bytes:
        """Return the 64 bytes that evidence about this node is bound to."""
        return hashlib.sha512(self.encode()).digest()


def key_digest(certificate: x509.Certificate) -> bytes:
    """Return what a statement says about a certificate: the SHA-256 of its public key.

    The certificate may be renewed by an authority and stay attested as long as its key stays.
    """
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _require(name: str, legal: bool) -> None:
    if not legal:
        raise NodeStatementError(f"{name} of the node's statement has another length or range")
