# SPDX-License-Identifier: MIT
"""The blobs that travel with a blob transaction and never enter a block.

Checked: counts, sizes, and that each commitment hashes to the versioned hash that the transaction
signs. Not checked: that a commitment is of its blob, and the proofs, which need a pairing; the
builder checks those before it bids.

Reference: EIP-4844 "networking" (version 0), EIP-7594 (version 1, cell proofs).
"""

from hashlib import sha256
from typing import Final

from buildernet.ethereum.errors import TransactionFormatError
from buildernet.ethereum.rlp import iterate_items, read_item

BLOB_BYTES: Final = 4096 * 32
COMMITMENT_BYTES: Final = 48
PROOF_BYTES: Final = 48
CELLS_PER_BLOB: Final = 128
"""Proofs per blob in version 1: one for each cell of the extended blob."""

MAX_BLOBS: Final = 6
"""EIP-7594 allows a transaction six blobs, whatever a block may hold."""

_VERSION_HASH_KZG: Final = b"\x01"
_CELL_PROOFS_VERSION: Final = b"\x01"
_PLAIN_PARTS: Final = 3
_VERSIONED_PARTS: Final = 4


def verify_sidecar(data: bytes, start: int, stop: int, versioned_hashes: tuple[bytes, ...]) -> None:
    """Check what follows the transaction in its network form.

    Args:
        data: The whole network form.
        start: Where the item after the transaction's own list begins.
        stop: Where the outer list ends.
        versioned_hashes: What the transaction signs, 32 bytes each.

    Raises:
        TransactionFormatError: A part is missing or of the wrong size or count, or a commitment
            has another hash.
    """
    parts = []
    for _, is_list, first, end in iterate_items(data, start, stop):
        parts.append((is_list, first, end))
        if len(parts) > _VERSIONED_PARTS:
            raise TransactionFormatError("the sidecar has more than four parts")
    proofs_per_blob = 1
    if len(parts) == _VERSIONED_PARTS:
        is_list, first, end = parts.pop(0)
        if is_list or data[first:end] != _CELL_PROOFS_VERSION:
            raise TransactionFormatError("the sidecar is of an unknown version")
        proofs_per_blob = CELLS_PER_BLOB
    if len(parts) != _PLAIN_PARTS or not all(is_list for is_list, _, _ in parts):
        raise TransactionFormatError("the sidecar is not blobs, commitments and proofs")
    count = len(versioned_hashes)
    if count > MAX_BLOBS:
        raise TransactionFormatError(f"the transaction names {count} blobs, more than {MAX_BLOBS}")
    _read_strings(data, parts[0], name="blobs", size=BLOB_BYTES, count=count)
    commitments = _read_strings(
        data, parts[1], name="commitments", size=COMMITMENT_BYTES, count=count
    )
    _read_strings(data, parts[2], name="proofs", size=PROOF_BYTES, count=count * proofs_per_blob)
    for number, (at, versioned) in enumerate(zip(commitments, versioned_hashes, strict=True)):
        found = _VERSION_HASH_KZG + sha256(data[at : at + COMMITMENT_BYTES]).digest()[1:]
        if found != versioned:
            raise TransactionFormatError(f"commitment {number} has another versioned hash")


def _read_strings(
    data: bytes, part: tuple[bool, int, int], *, name: str, size: int, count: int
) -> list[int]:
    """Return where each of exactly `count` strings of `size` bytes starts."""
    _, at, stop = part
    starts: list[int] = []
    while at < stop and len(starts) <= count:
        is_list, first, at = read_item(data, at, stop)
        if is_list or at - first != size:
            raise TransactionFormatError(f"the sidecar's {name} are not of {size} bytes each")
        starts.append(first)
    if len(starts) != count:
        raise TransactionFormatError(f"the sidecar holds not {count} {name}")
    return starts
