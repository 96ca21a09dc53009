# SPDX-License-Identifier: MIT
"""Command `buildernet-measure`: predict what an image measures, and explain what a boot measured.

Exit codes: 0 done or match, 1 mismatch, 2 wrong usage or unusable input.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from buildernet.attestation.event_log import MAX_LOG_BYTES, EventLog, LogKind, parse_event_log
from buildernet.base import command
from buildernet.base.errors import EXIT_FAILED, EXIT_OK
from buildernet.measure import report
from buildernet.measure.disk import open_medium
from buildernet.measure.documents import (
    MAX_DOCUMENT_BYTES,
    encode_prediction,
    parse_platforms,
    parse_prediction,
)
from buildernet.measure.errors import FirmwareError, MeasureError
from buildernet.measure.events import BootPath
from buildernet.measure.explain import compare
from buildernet.measure.firmware import find_checkout_facts, load_facts
from buildernet.measure.live import MAX_REGISTERS_BYTES, LiveRow, compare_live, parse_registers
from buildernet.measure.mrtd import MRTD, compute_mrtd
from buildernet.measure.prediction import Prediction, predict
from buildernet.measure.published import Style, encode_measurements
from buildernet.measure.source import open_view

PROGRAM: Final = "buildernet-measure"

_EXAMPLES: Final = """\
examples:
  buildernet-measure image disk.raw --firmware firmware.fd --boot gpt
  buildernet-measure image uki.efi --firmware OVMF.fd --boot direct --json
  buildernet-measure image disk.raw --firmware firmware.fd --boot gpt \\
      --out-measurements measurements.json --out-events events.json
  buildernet-measure mrtd OVMF.fd
  buildernet-measure replay /sys/kernel/security/tpm0/binary_bios_measurements
  buildernet-measure explain --expected events.json --log tpm-event-log.bin
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    return command.run(lambda: _run(arguments), program=PROGRAM, debug=arguments.debug)


def _run(arguments: argparse.Namespace) -> int:
    code: int = arguments.run(arguments)
    return code


def _image(arguments: argparse.Namespace) -> int:
    prediction = _predict(arguments)
    measurements = encode_measurements(
        prediction,
        measurement_id=arguments.measurement_id or arguments.file.name,
        style=Style(arguments.style),
    )
    _write(arguments.out_measurements, measurements)
    _write(arguments.out_events, encode_prediction(prediction))
    values = report.prediction_values(prediction)
    if arguments.json:
        print(report.values_as_json(values))
        return EXIT_OK
    print(f"systemd-stub {prediction.stub}, boot {prediction.boot}")
    print(f"firmware {prediction.firmware_name or 'without facts: PCR 0 and PCR 7 not promised'}")
    print(f"cmdline {prediction.cmdline}")
    for condition in prediction.conditions:
        print(f"holds only if {condition}")
    for line in report.values_as_lines(values):
        print(line)
    return EXIT_OK


def _predict(arguments: argparse.Namespace) -> Prediction:
    facts_folder = arguments.firmware_facts or find_checkout_facts()
    with open_view(arguments.file) as image, open_view(arguments.firmware) as firmware:
        return predict(
            open_medium(image),
            boot=BootPath(arguments.boot),
            firmware=firmware,
            facts=load_facts(firmware, facts_folder),
            mrtd=_mrtd_or_none(firmware),
            platforms=parse_platforms(_read(arguments.platforms, MAX_DOCUMENT_BYTES))
            if arguments.platforms
            else (),
        )


def _mrtd_or_none(firmware: memoryview) -> MRTD | None:
    try:
        return compute_mrtd(firmware)
    except FirmwareError as exc:
        print(f"{PROGRAM}: note: no MRTD: {exc}", file=sys.stderr)
        return None


def _mrtd(arguments: argparse.Namespace) -> int:
    with open_view(arguments.firmware) as firmware:
        mrtd = compute_mrtd(firmware)
    if arguments.json:
        document = {"single_pass": mrtd.single_pass.hex(), "two_pass": mrtd.two_pass.hex()}
        print(json.dumps(document, indent=2))
    else:
        print(f"single-pass {mrtd.single_pass.hex()}")
        print(f"two-pass    {mrtd.two_pass.hex()}")
    return EXIT_OK


def _replay(arguments: argparse.Namespace) -> int:
    log = _read_log(arguments.log, arguments.kind)
    values = report.replayed_values(log)
    if arguments.json:
        print(report.values_as_json(values))
    else:
        for line in report.values_as_lines(values):
            print(line)
    return EXIT_OK


def _explain(arguments: argparse.Namespace) -> int:
    prediction = parse_prediction(_read(arguments.expected, MAX_DOCUMENT_BYTES))
    log = _read_log(arguments.log, arguments.kind)
    comparison = compare(prediction, log)
    live: tuple[LiveRow, ...] = ()
    if arguments.registers:
        registers = parse_registers(_read(arguments.registers, MAX_REGISTERS_BYTES))
        live = compare_live(registers, log, prediction)
    if arguments.json:
        print(report.comparison_as_json(comparison, live))
    else:
        for line in report.comparison_as_lines(comparison, live):
            print(line)
    agrees = comparison.matches and not any(row.is_mismatch for row in live)
    return EXIT_OK if agrees else EXIT_FAILED


def _read_log(path: Path, kind: str | None) -> EventLog:
    return parse_event_log(_read(path, MAX_LOG_BYTES), kind=LogKind(kind) if kind else None)


def _read(path: Path, limit: int) -> bytes:
    """Read a small file; one byte over the limit lets the parser name the limit."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as exc:
        raise MeasureError(f"cannot read {path}: {exc.strerror}") from exc


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise MeasureError(f"cannot write {path}: {exc.strerror}") from exc


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Predict what an image measures when it boots, and explain what a boot did.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_image(commands.add_parser("image", help="registers and events of a disk image or UKI"))

    mrtd = commands.add_parser("mrtd", help="MRTD of a firmware image, for both page orders")
    mrtd.add_argument("firmware", type=Path, metavar="FIRMWARE", help="combined image (OVMF.fd)")
    mrtd.set_defaults(run=_mrtd)

    replayed = commands.add_parser("replay", help="fold an event log into register values")
    replayed.add_argument("log", type=Path, metavar="LOG", help="TPM log or CCEL data")
    replayed.set_defaults(run=_replay)

    explain = commands.add_parser("explain", help="compare an event log with a prediction")
    explain.add_argument("--expected", type=Path, required=True, metavar="EVENTS_JSON")
    explain.add_argument("--log", type=Path, required=True, metavar="LOG")
    explain.add_argument(
        "--registers",
        type=Path,
        metavar="REGISTERS_JSON",
        help="registers read in the guest; must equal what the log replays to",
    )
    explain.set_defaults(run=_explain)

    for log_reader in (replayed, explain):
        log_reader.add_argument(
            "--kind", choices=list(LogKind), help="what the log is (default: guessed)"
        )
    for command_parser in commands.choices.values():
        command_parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="raw GPT disk, or a UKI")
    parser.add_argument("--firmware", type=Path, required=True, help="combined image (OVMF.fd)")
    parser.add_argument(
        "--boot",
        choices=list(BootPath),
        required=True,
        help="gpt: from the disk; direct: QEMU -kernel uki.efi",
    )
    parser.add_argument("--measurement-id", metavar="ID", help="default: the name of FILE")
    parser.add_argument(
        "--style",
        choices=list(Style),
        default=Style.NUMBERS,
        help="measurements.json for: builder-hub (numbers, default), attested-tls (names),"
        " cvm-reverse-proxy (legacy: numbers without expected_any)",
    )
    parser.add_argument("--out-measurements", type=Path, metavar="FILE")
    parser.add_argument("--out-events", type=Path, metavar="FILE")
    parser.add_argument(
        "--firmware-facts",
        type=Path,
        metavar="DIR",
        help="default: measurements/firmware of the checkout",
    )
    parser.add_argument(
        "--platforms",
        type=Path,
        metavar="FILE",
        help="JSON list about RTMR0 per machine type, copied into events.json",
    )
    parser.set_defaults(run=_image)


if __name__ == "__main__":
    sys.exit(main())
