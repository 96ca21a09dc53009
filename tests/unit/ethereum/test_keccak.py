# SPDX-License-Identifier: MIT
"""Keccak-256 against known values, by each of the libraries that may compute it."""

from __future__ import annotations

import pytest

from buildernet.ethereum.keccak import by_openssl, by_pycryptodome, compute_keccak256

_KNOWN = {
    b"": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    b"abc": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
}


@pytest.mark.parametrize("data", _KNOWN)
def test_known_values(data: bytes) -> None:
    assert compute_keccak256(data).hex() == _KNOWN[data]
    assert by_pycryptodome(data).hex() == _KNOWN[data]


def test_openssl_gives_the_same_and_keeps_nothing_between_two_calls() -> None:
    compute = by_openssl()
    if compute is None:
        pytest.skip("this OpenSSL has no Keccak-256: it came with 3.2")
    for size in (0, 1, 135, 136, 137, 4096):
        assert compute(bytes(size)) == by_pycryptodome(bytes(size))
    assert compute(b"abc").hex() == _KNOWN[b"abc"]
