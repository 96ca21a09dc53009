# SPDX-License-Identifier: MIT
"""Keccak-256 as Ethereum uses it: the padding from before FIPS 202, so not `hashlib.sha3_256`."""

from typing import Final

from Crypto.Hash import keccak

KECCAK_BYTES: Final = 32


def compute_keccak256(data: bytes) -> bytes:
    """Return the 32 bytes of Keccak-256 over `data`."""
    return keccak.new(data=data, digest_bits=256).digest()
