# SPDX-License-Identifier: MIT
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.measure.errors import PEError
from buildernet.measure.pe import compute_authenticode, parse_pe
from tests.support.pe_images import PE_OFFSET, make_pe

CHECKSUM = PE_OFFSET + 24 + 64
CERTIFICATE_ENTRY = PE_OFFSET + 24 + 112 + 4 * 8
IMAGE = make_pe({".text": b"code" * 200, ".data": b"data"})
SIGNED = make_pe({".text": b"code" * 200, ".data": b"data"}, certificates=b"signature")


def authenticode(image: bytes) -> bytes:
    return compute_authenticode(parse_pe(memoryview(image))).sha256


def test_sections() -> None:
    sections = parse_pe(memoryview(IMAGE)).sections
    assert [(s.name, s.virtual_size, s.raw_size) for s in sections] == [
        (".text", 800, 1024),
        (".data", 4, 512),
    ]


def test_digest_leaves_out_checksum_and_certificate_entry_only() -> None:
    kept = (
        IMAGE[:CHECKSUM] + IMAGE[CHECKSUM + 4 : CERTIFICATE_ENTRY] + IMAGE[CERTIFICATE_ENTRY + 8 :]
    )
    digests = compute_authenticode(parse_pe(memoryview(IMAGE)))
    assert digests.sha256 == hashlib.sha256(kept).digest()
    assert digests.sha384 == hashlib.sha384(kept).digest()


def test_signature_does_not_change_the_digest() -> None:
    assert authenticode(SIGNED) == authenticode(IMAGE)


def test_bytes_after_the_sections_are_hashed() -> None:
    assert authenticode(IMAGE + b"tail") != authenticode(IMAGE)


@given(st.integers(0, 8 * len(IMAGE) - 1))
def test_every_other_bit_changes_the_digest(bit: int) -> None:
    damaged = bytearray(IMAGE)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        digest = authenticode(bytes(damaged))
    except PEError:
        return
    unmeasured = {*range(CHECKSUM, CHECKSUM + 4), *range(CERTIFICATE_ENTRY, CERTIFICATE_ENTRY + 8)}
    assert (digest == authenticode(IMAGE)) == (bit // 8 in unmeasured)


@given(st.integers(0, len(SIGNED) - 1))
def test_truncation_is_refused(length: int) -> None:
    with pytest.raises(PEError):
        parse_pe(memoryview(SIGNED[:length]))


@given(st.binary(max_size=600))
def test_arbitrary_headers_raise_our_error_only(data: bytes) -> None:
    with contextlib.suppress(PEError):
        compute_authenticode(parse_pe(memoryview(SIGNED[:PE_OFFSET] + data)))


def test_overlapping_sections_are_refused() -> None:
    damaged = bytearray(IMAGE)
    first = PE_OFFSET + 24 + 112 + 16 * 8
    damaged[first + 40 + 16 : first + 40 + 20] = (1024).to_bytes(4, "little")
    damaged[first + 40 + 20 : first + 40 + 24] = damaged[first + 20 : first + 24]
    with pytest.raises(PEError, match="overlap"):
        parse_pe(memoryview(damaged))
