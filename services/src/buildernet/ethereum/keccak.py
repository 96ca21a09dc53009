# SPDX-License-Identifier: MIT
"""Keccak-256 as Ethereum uses it: the padding from before FIPS 202, so not `hashlib.sha3_256`.

The image's OpenSSL (3.2 or later) has it; an older one does not, and pycryptodome stands in. Over
32 bytes that costs 0.6 µs, 1.2 µs through pycryptodome's core or 3.3 µs through its objects; over
40 kB 71 µs or 94 µs. An order hashes seven times.
"""

import hashlib
import threading
from collections.abc import Callable
from typing import Final

from Crypto.Hash import keccak
from Crypto.Util import _raw_api

_OPENSSL_NAME: Final = "keccak-256"
_ROUNDS: Final = 24
_PADDING: Final = 1


def compute_keccak256(data: bytes) -> bytes:
    """Return the 32 bytes of Keccak-256 over `data`."""
    return _compute(data)


def by_pycryptodome(data: bytes) -> bytes:
    """Return the same with the library that every machine has."""
    return keccak.new(data=data, digest_bits=256).digest()


def by_pycryptodome_core() -> Callable[[bytes], bytes]:
    """Return what computes it with the C functions below pycryptodome's objects.

    Twenty calls of Python around each hash were a tenth of an order's time. The functions are not
    promised to anyone: the lock pins the release, and the tests hold both ways against one another.
    """
    core = keccak._raw_keccak_lib  # type: ignore[attr-defined]  # see above

    class Sponge(threading.local):
        """A state for each thread: the functions let others run while they hash."""

        def __init__(self) -> None:
            pointer = _raw_api.VoidPointer()
            core.keccak_init(pointer.address_of(), 2 * KECCAK_BYTES, _ROUNDS)
            self.owner = _raw_api.SmartPointer(pointer.get(), core.keccak_destroy)
            self.state = self.owner.get()
            self.digest = _raw_api.create_string_buffer(KECCAK_BYTES)  # type: ignore[call-arg]  # has a default

    sponge = Sponge()

    def compute(data: bytes) -> bytes:
        state, digest = sponge.state, sponge.digest
        if (
            core.keccak_reset(state)
            or core.keccak_absorb(state, data, len(data))
            or core.keccak_digest(state, digest, KECCAK_BYTES, _PADDING)
        ):
            raise RuntimeError("pycryptodome refuses to hash")
        return _raw_api.get_raw_buffer(digest)

    return compute


def by_openssl() -> Callable[[bytes], bytes] | None:
    """Return what computes it with OpenSSL, or None where OpenSSL does not know it."""
    try:
        empty = hashlib.new(_OPENSSL_NAME)
    except ValueError:
        return None

    def compute(data: bytes) -> bytes:
        state = empty.copy()  # looking it up by its name costs as much as hashing 64 bytes
        state.update(data)
        return state.digest()

    return compute


_compute: Final = by_openssl() or by_pycryptodome_core()
