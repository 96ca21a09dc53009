# SPDX-License-Identifier: MIT
"""What can be imported, alone and with what; who may import whom is import-linter's contract."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).resolve().parents[2] / "services/src"
IMPORT_SECONDS: Final = 60
# Run inside BitBake, early in the boot, or by third parties: with a Python and no site-packages.
STANDARD_LIBRARY_ONLY: Final = [
    "base", "measure", "node", "attestation.registers", "attestation.event_log",
]  # fmt: skip
WITH_LIBRARIES: Final = {
    "buildernet.node.own_evidence",
    "buildernet.node.registration",
    "buildernet.node.registration_config",
}
"""Imported by one subcommand that runs when everything is up."""
IMPORT_THEM: Final = "import sys, importlib; [importlib.import_module(n) for n in sys.argv[2:]]"


def modules_below(package: str) -> list[str]:
    """Dotted names of a package or module of buildernet and of everything in it."""
    start = SOURCE / "buildernet" / package.replace(".", "/")
    paths = sorted(start.rglob("*.py")) if start.is_dir() else [start.with_suffix(".py")]
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]


def import_in_new_interpreter(options: list[str], code: str, modules: list[str]) -> str:
    """Import modules in a fresh Python and return what it complained about."""
    return subprocess.run(
        [sys.executable, *options, "-c", code, str(SOURCE), *modules],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=IMPORT_SECONDS, check=False,
    ).stdout  # fmt: skip


def test_every_module_imports_without_a_warning() -> None:
    modules = modules_below("")
    assert "buildernet.measure" in modules
    assert import_in_new_interpreter(["-W", "error"], IMPORT_THEM, modules) == ""


@pytest.mark.parametrize("package", STANDARD_LIBRARY_ONLY)
def test_imports_with_the_standard_library_alone(package: str) -> None:
    code = IMPORT_THEM.replace("; ", "; sys.path.insert(0, sys.argv[1]); ", 1)
    modules = [name for name in modules_below(package) if name not in WITH_LIBRARIES]
    assert import_in_new_interpreter(["-I", "-S", "-W", "error"], code, modules) == ""


def test_missing_package_is_noticed() -> None:
    assert "ModuleNotFoundError" in import_in_new_interpreter(
        ["-I", "-S"], IMPORT_THEM, ["aiohttp"]
    )
