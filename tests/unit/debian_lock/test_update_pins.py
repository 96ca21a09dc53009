# SPDX-License-Identifier: MIT
"""The command line of scripts/update-pins, as far as it needs no network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).resolve().parents[3] / "scripts/update-pins"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_help_says_what_it_does() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "show what moves" in result.stdout


def test_unknown_set_is_a_usage_error_that_names_the_known_ones() -> None:
    result = run("--check", "tarpit")
    assert result.returncode == 2
    assert "unknown set tarpit" in result.stderr
    assert "target-dev" in result.stderr
