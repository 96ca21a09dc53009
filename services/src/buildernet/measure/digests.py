# SPDX-License-Identifier: MIT
"""One pass over data, both digests: sha256 for TPM policies, sha384 for RTMRs and TPM banks."""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from buildernet.attestation.registers import Bank, Digest, Digest32, Digest48

BANKS: Final = (Bank.SHA256, Bank.SHA384)
"""The banks every prediction is made for."""


@dataclass(frozen=True, slots=True)
class Digests:
    """The same data under both algorithms."""

    sha256: Digest32
    sha384: Digest48

    def of(self, bank: Bank) -> Digest:
        """Return the digest of one of `BANKS`."""
        return {Bank.SHA256: self.sha256, Bank.SHA384: self.sha384}[bank]


class Hasher:
    """Both algorithms fed together; `copy` lets a common start be hashed once."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._sha384 = hashlib.sha384()

    def update(self, data: bytes | memoryview) -> Self:
        """Feed both."""
        self._sha256.update(data)
        self._sha384.update(data)
        return self

    def copy(self) -> "Hasher":
        """Fork the state."""
        twin = Hasher.__new__(Hasher)
        twin._sha256 = self._sha256.copy()
        twin._sha384 = self._sha384.copy()
        return twin

    def digests(self) -> Digests:
        """Return both digests of what was fed so far."""
        return Digests(Digest32(self._sha256.digest()), Digest48(self._sha384.digest()))


def digests_of(*chunks: bytes | memoryview) -> Digests:
    """Hash the chunks one after the other."""
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.digests()
