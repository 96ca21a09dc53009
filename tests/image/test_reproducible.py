# SPDX-License-Identifier: MIT
"""Two builds from scratch that differ in all but their inputs publish the same bytes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.build_copy import IMAGES

pytestmark = [pytest.mark.slow, pytest.mark.bitbake, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PUBLISHED = ("disk.raw", "uki.efi", "manifest.json", "sbom.cdx.json", "measurements.json")


def test_both_builds_are_identical():
    command = [sys.executable, str(ROOT / "scripts/reproduce")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-4000:]
    same = {line.split()[-1] for line in result.stdout.splitlines() if "  same  " in line}
    assert {f"{image}/{name}" for image in IMAGES for name in PUBLISHED} <= same
