# SPDX-License-Identifier: MIT
"""Runs the real `buildernet-measure` on what a boot left, as a third party would."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.image.boots import Reading

COMMAND: Final = Path(sys.executable).with_name("buildernet-measure")
TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `buildernet-measure explain` said."""

    status: int
    """Its exit status."""
    text: str
    """What it printed for people."""
    document: dict[str, Any]  # JSON
    """What it printed with --json."""

    @property
    def mismatches(self) -> list[tuple[str, str, str]]:
        """Register, event and key of the likely cause of everything that differs."""
        return [
            (event["register"], event["what"], event["cause"]["key"])
            for event in self.document["events"]
            if event["verdict"] not in ("match", "not promised")
        ]

    @property
    def causes(self) -> set[str]:
        """Keys of the likely causes."""
        return {cause for _, _, cause in self.mismatches}


def measure(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command with any arguments."""
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


def explain(expected: Path, reading: Reading, folder: Path) -> Explanation:
    """Compare a reading with a prediction."""
    log, registers = folder / "log.bin", folder / "registers.json"
    log.write_bytes(reading.log)
    registers.write_bytes(reading.registers)
    arguments = ("explain", "--expected", expected, "--log", log, "--registers", registers)
    for_people = measure(*arguments)
    for_machines = measure(*arguments, "--json")
    assert for_people.returncode == for_machines.returncode, for_people.stderr
    assert for_machines.stdout, for_machines.stderr
    return Explanation(for_people.returncode, for_people.stdout, json.loads(for_machines.stdout))
