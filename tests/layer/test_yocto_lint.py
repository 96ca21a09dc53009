# SPDX-License-Identifier: MIT
"""oelint-adv finds nothing in the layer.

``layers/meta-buildernet/.oelint.cfg`` says which of its rules do not fit, and why. It is no locked
dependency, because one check needs it and nothing else: uv takes this version from PyPI.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

LAYER: Final = Path(__file__).resolve().parents[2] / "layers/meta-buildernet"
UV: Final = LAYER.parents[1] / ".venv/bin/uv"
OELINT: Final = "oelint-adv==9.11.2"
LINT_SECONDS: Final = 300
SUFFIXES: Final = {".bb", ".bbappend", ".bbclass", ".conf", ".inc"}

pytestmark = [pytest.mark.bitbake, pytest.mark.timeout(LINT_SECONDS)]


def test_oelint_is_clean() -> None:
    folders = [path for path in LAYER.iterdir() if path.name not in {"debian", "files", "lib"}]
    files = [p for folder in folders for p in sorted(folder.rglob("*")) if p.suffix in SUFFIXES]
    assert files
    linted = subprocess.run(
        [UV, "tool", "run", "--from", OELINT, "oelint-adv", *files],
        cwd=LAYER, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout
    assert ":error:" not in linted.stdout
    assert ":warning:" not in linted.stdout
