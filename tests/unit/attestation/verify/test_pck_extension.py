# SPDX-License-Identifier: MIT
"""The SGX extension of PCK certificates, whole and damaged."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import CertificateFormatError
from buildernet.attestation.verify.pck_extension import parse_pck_extension
from tests.support.minted_pki import sgx_extension

WHOLE = sgx_extension(fmspc=b"\1\2\3\4\5\6", pce_id=b"\7\x08", svn=9, pce_svn=13)


def test_every_field_is_read() -> None:
    parsed = parse_pck_extension(WHOLE)
    assert (parsed.fmspc, parsed.pce_id) == (b"\1\2\3\4\5\6", b"\7\x08")
    assert (parsed.components, parsed.pce_svn, parsed.ppid) == ((9,) * 16, 13, bytes(16))


@given(st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(size: int) -> None:
    with pytest.raises(CertificateFormatError):
        parse_pck_extension(WHOLE[:size])


@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_a_flipped_bit_raises_nothing_else(position: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position // 8] ^= 1 << position % 8
    with contextlib.suppress(CertificateFormatError):
        parse_pck_extension(bytes(damaged))


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(CertificateFormatError):
        parse_pck_extension(b"\x30" + noise)
