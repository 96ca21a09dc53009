# SPDX-License-Identifier: MIT
"""The command as its users call it: output, files, exit codes, one-line errors."""

import json
from pathlib import Path
from typing import Any

import pytest

from buildernet.measure.cli import main
from tests.support.event_logs import encode_log, raw_events
from tests.support.pe_images import make_uki
from tests.support.predictions import FIRMWARE, make_disk, make_prediction


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an image, its firmware, the log of its boot and of another one's."""
    (tmp_path / "uki.efi").write_bytes(make_uki())
    (tmp_path / "firmware.fd").write_bytes(FIRMWARE)
    (tmp_path / "boot.log").write_bytes(encode_log(raw_events(make_prediction())))
    other = make_prediction(make_uki(cmdline="init=/bin/sh"))
    (tmp_path / "other.log").write_bytes(encode_log(raw_events(other)))
    return tmp_path


def image(files: Path, *options: str, name: str = "uki.efi", boot: str = "direct") -> int:
    firmware = str(files / "firmware.fd")
    return main(["image", str(files / name), "--firmware", firmware, "--boot", boot, *options])


def explain(files: Path, log: str, *options: str) -> int:
    expected = str(files / "events.json")
    assert image(files, "--out-events", expected) == 0
    return main(["explain", "--expected", expected, "--log", str(files / log), *options])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The last JSON document on standard output."""
    out = capsys.readouterr().out
    return json.loads(out[out.index("\n{\n") if not out.startswith("{") else 0 :])


def test_image_prints_registers_and_writes_both_documents(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measurements, events = files / "m.json", files / "e.json"
    assert image(files, "--out-measurements", str(measurements), "--out-events", str(events)) == 0
    assert json.loads(measurements.read_text())[0]["measurement_id"] == "uki.efi"
    assert json.loads(events.read_text())["boot"] == "direct"
    out = capsys.readouterr().out
    assert "rtmr1 sha384" in out
    assert "systemd-stub 257" in out


def test_image_of_a_disk_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "disk.raw").write_bytes(make_disk(make_uki()))
    assert image(files, "--json", name="disk.raw", boot="gpt") == 0
    values = printed(capsys)
    assert len(values["mrtd"]["sha384"]) == 2
    assert sorted(values["pcr4"]) == ["sha256", "sha384"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_mrtd(files: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    assert main(["mrtd", str(files / "firmware.fd"), *options]) == 0
    assert "single" in capsys.readouterr().out


def test_replay(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(files / "boot.log"), "--json"]) == 0
    values = printed(capsys)
    assert len(values["pcr4"]["sha256"][0]) == 64
    assert main(["replay", str(files / "boot.log")]) == 0
    assert values["pcr4"]["sha256"][0] in capsys.readouterr().out


def test_explain_of_the_predicted_boot_ends_0(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(files, "boot.log") == 0
    assert "MATCH:" in capsys.readouterr().out.splitlines()[-1]


def test_explain_of_another_boot_ends_1_and_names_the_cause(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(files, "other.log") == 1
    out = capsys.readouterr().out
    assert "likely cause: the command line embedded in the UKI changed" in out
    assert "MISMATCH" in out.splitlines()[-1]


def test_explain_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(files, "other.log", "--json") == 1
    document = printed(capsys)
    assert document["matches"] is False
    assert "cmdline-changed" in {
        event["cause"]["key"] for event in document["events"] if event["cause"]
    }


def test_registers_that_do_not_follow_from_the_log_end_1(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registers = {"sha256": {"4": "00" * 32}}
    document = {"format": "buildernet-registers/1", "pcrs": registers, "tdx": {}}
    (files / "registers.json").write_text(json.dumps(document))
    assert explain(files, "boot.log", "--registers", str(files / "registers.json")) == 1
    assert "pcr4: the register read in the guest is another one" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("mrtd", "missing.fd"),
        ("mrtd", "uki.efi"),
        ("replay", "uki.efi"),
        ("replay", "missing.log"),
        ("image", "firmware.fd", "--firmware", "firmware.fd", "--boot", "gpt"),
        ("explain", "--expected", "uki.efi", "--log", "boot.log"),
    ],
)
def test_unusable_input_ends_2_with_one_line(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(files)
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("buildernet-measure: error: ")
    assert "Traceback" not in error


def test_debug_shows_the_traceback(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "mrtd", str(files / "missing.fd")]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "buildernet-measure explain --expected" in capsys.readouterr().out


def test_unwritable_output_ends_2(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert image(files, "--out-events", str(files / "no" / "e.json")) == 2
    assert "cannot write" in capsys.readouterr().err
