# SPDX-License-Identifier: MIT
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import DigestError
from buildernet.attestation.registers import (
    PCRS,
    TDX_REGISTERS,
    Bank,
    Digest32,
    Digest48,
    Register,
    extend,
    initial_value,
    parse_digest,
    rtmr_of_pcr,
)


def test_numbers_are_those_of_published_json() -> None:
    assert [register.number for register in TDX_REGISTERS] == [0, 1, 2, 3, 4]
    assert [register.number for register in PCRS] == list(range(24))


def test_pcr_map_is_that_of_the_tdx_design_guide() -> None:
    names = {pcr: rtmr_of_pcr(pcr).value for pcr in range(16)}
    assert names[0] == "mrtd"
    assert {names[1], names[7]} == {"rtmr0"}
    assert {names[pcr] for pcr in range(2, 7)} == {"rtmr1"}
    assert {names[pcr] for pcr in range(8, 16)} == {"rtmr2"}


def test_later_pcrs_have_no_tdx_register() -> None:
    with pytest.raises(ValueError, match="PCR 16"):
        rtmr_of_pcr(16)


def test_extend_hashes_old_then_new() -> None:
    digest = Digest32(b"\1" * 32)
    old = initial_value(Register.PCR4, Bank.SHA256)
    assert extend(Bank.SHA256, old, digest) == hashlib.sha256(bytes(32) + digest).digest()


def test_initial_values() -> None:
    assert initial_value(Register.RTMR2, Bank.SHA384) == bytes(48)
    assert initial_value(Register.PCR17, Bank.SHA256) == b"\xff" * 32
    assert initial_value(Register.PCR0, Bank.SHA256, startup_locality=3)[-2:] == b"\0\3"
    assert initial_value(Register.PCR4, Bank.SHA256, startup_locality=3) == bytes(32)


@given(st.binary(max_size=70))
def test_digest_has_exactly_its_length(value: bytes) -> None:
    if len(value) == 48:
        assert Digest48.parse(value.hex()) == value
        return
    with pytest.raises(DigestError):
        Digest48.parse(value.hex())


@pytest.mark.parametrize("text", ["zz" * 32, " " + "00" * 32, "0x" + "00" * 31, "00" * 31 + " 0 0"])
def test_digest_text_is_strict(text: str) -> None:
    with pytest.raises(DigestError):
        parse_digest(Bank.SHA256, text)
