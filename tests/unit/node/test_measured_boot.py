# SPDX-License-Identifier: MIT
import io
import json

import pytest

from buildernet.base.paths import MAX_EVENT_LOG_BYTES, MAX_REGISTERS_BYTES
from buildernet.node.errors import MeasuredBootError
from buildernet.node.measured_boot import FORMAT, Sources, collect


@pytest.fixture
def sysfs(tmp_path):
    return tmp_path / "sys"


@pytest.fixture
def machine(sysfs):
    """A sysfs with a TPM, its log, a CCEL and TDX registers."""
    sources = Sources.below(sysfs)
    for path in (sources.tpm_event_log, sources.ccel):
        path.parent.mkdir(parents=True)
    sources.tpm_event_log.write_bytes(b"log\x00")
    sources.ccel.write_bytes(b"ccel\x00")
    for bank, size in (("sha256", 32), ("sha384", 48)):
        folder = sources.tpm / f"pcr-{bank}"
        folder.mkdir(parents=True)
        for number in range(24):
            (folder / str(number)).write_text("AB" * size + "\n")
    sources.tdx.mkdir(parents=True)
    for number in range(4):
        (sources.tdx / f"rtmr{number}:sha384").write_bytes(bytes([number]) * 48)
    return sources


def _collect(sources, out) -> str:
    console = io.StringIO()
    collect(sources, out=out, console=console)
    return console.getvalue()


def test_everything_is_kept_and_printed(machine, tmp_path):
    out = tmp_path / "run/measured-boot"
    text = _collect(machine, out)
    assert (out / "tpm-event-log.bin").read_bytes() == b"log\x00"
    assert (out / "ccel.bin").read_bytes() == b"ccel\x00"
    raw = (out / "registers.json").read_bytes()
    assert json.loads(raw) == {
        "format": FORMAT,
        "pcrs": {
            "sha256": {str(number): "ab" * 32 for number in range(24)},
            "sha384": {str(number): "ab" * 48 for number in range(24)},
        },
        "tdx": {f"rtmr{number}": f"0{number}" * 48 for number in range(4)},
        "notes": [],
    }
    assert len(raw) < MAX_REGISTERS_BYTES
    assert "measured-boot: pcr sha256 4 " + "ab" * 32 + "\n" in text
    assert "measured-boot: rtmr1 " + "01" * 48 + "\n" in text
    assert len(text.splitlines()) == 52


def test_the_files_are_readable_by_all_and_nothing_else_is_left(machine, tmp_path):
    out = tmp_path / "out"
    _collect(machine, out)
    assert {path.name: path.stat().st_mode & 0o777 for path in out.iterdir()} == {
        "tpm-event-log.bin": 0o444,
        "ccel.bin": 0o444,
        "registers.json": 0o444,
    }


def test_a_second_run_replaces_the_files(machine, tmp_path):
    _collect(machine, tmp_path / "out")
    (tmp_path / "out/.tpm-event-log.bin").write_bytes(b"left by a run that was killed")
    machine.tpm_event_log.write_bytes(b"other")
    _collect(machine, tmp_path / "out")
    assert (tmp_path / "out/tpm-event-log.bin").read_bytes() == b"other"


def test_a_machine_without_a_tpm_says_so(sysfs, tmp_path):
    text = _collect(Sources.below(sysfs), tmp_path / "out")
    document = json.loads((tmp_path / "out/registers.json").read_text())
    assert document["pcrs"] == {}
    assert document["tdx"] == {}
    assert [note.partition(":")[0] for note in document["notes"]] == [
        "no TPM",
        "no TDX registers",
        "no tpm-event-log.bin",
        "no ccel.bin",
    ]
    assert "measured-boot: note: no TPM: " in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["registers.json"]


def test_a_log_without_end_is_refused(machine, tmp_path):
    machine.tpm_event_log.write_bytes(bytes(MAX_EVENT_LOG_BYTES + 1))
    with pytest.raises(MeasuredBootError, match="larger than"):
        _collect(machine, tmp_path / "out")
    assert not (tmp_path / "out/registers.json").exists()


def test_a_folder_that_cannot_be_written_is_named(machine, tmp_path):
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(MeasuredBootError, match="cannot write"):
        _collect(machine, tmp_path / "out")
