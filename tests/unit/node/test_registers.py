# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest

from buildernet.node.errors import MeasuredBootError
from buildernet.node.registers import Registers, read_registers


@pytest.fixture
def machine(tmp_path):
    """Folders as the kernel shows them for a TPM and a TDX guest."""
    for bank, size in (("sha256", 32), ("sha384", 48)):
        folder = tmp_path / f"tpm/pcr-{bank}"
        folder.mkdir(parents=True)
        for number in range(24):
            (folder / str(number)).write_text(f"{number:02X}" * size + "\n")
    (tmp_path / "tdx").mkdir()
    (tmp_path / "tdx/mrtd:sha384").write_bytes(b"\x01" * 48)
    (tmp_path / "tdx/rtmr1:sha384").write_bytes(b"\xfe" * 48)
    (tmp_path / "tdx/mrowner").write_bytes(b"\x02" * 48)
    return tmp_path


def _read(machine: Path) -> Registers:
    return read_registers(tpm=machine / "tpm", tdx=machine / "tdx")


def test_every_register_is_read_in_lower_case(machine):
    registers = _read(machine)
    assert registers.pcrs["sha256"][23] == "17" * 32
    assert registers.pcrs["sha384"][10] == "0a" * 48
    assert registers.tdx == {"mrtd": "01" * 48, "rtmr1": "fe" * 48, "mrowner": "02" * 48}


def test_lines_as_the_console_shows_them(machine):
    lines = list(_read(machine).lines())
    assert len(lines) == 2 * 24 + 3
    assert "pcr sha256 4 " + "04" * 32 in lines
    assert "rtmr1 " + "fe" * 48 in lines


def test_a_machine_without_any(tmp_path):
    registers = read_registers(tpm=tmp_path / "none", tdx=tmp_path / "none")
    assert (registers.pcrs, registers.tdx) == ({}, {})


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33, "00" * 500, "\udc80"])
def test_a_pcr_that_is_no_digest_is_refused(machine, text):
    path = machine / "tpm/pcr-sha256/4"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(MeasuredBootError, match="pcr-sha256/4"):
        _read(machine)


@pytest.mark.parametrize("size", [0, 47, 49, 1000])
def test_a_tdx_register_of_another_size_is_refused(machine, size):
    (machine / "tdx/mrtd:sha384").write_bytes(bytes(size))
    with pytest.raises(MeasuredBootError, match="not 48"):
        _read(machine)


def test_a_missing_pcr_is_refused(machine):
    (machine / "tpm/pcr-sha384/7").unlink()
    with pytest.raises(MeasuredBootError, match="pcr-sha384/7: No such file"):
        _read(machine)
