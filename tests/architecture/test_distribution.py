# SPDX-License-Identifier: MIT
"""What ships holds no test double: the wheel is services/src/buildernet and nothing else."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

SERVICES: Final = Path(__file__).resolve().parents[2] / "services"
PACKAGE: Final = SERVICES / "src/buildernet"
TEST_DOUBLE: Final = re.compile(r"simulat|fake|mock|dummy|^tests?(_|$)", re.IGNORECASE)


def imported_roots(path: Path) -> set[str]:
    """Top-level names of the packages a module imports."""
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            roots.add(node.module.split(".")[0])
    return roots


def test_wheel_is_the_package_alone() -> None:
    project = tomllib.loads((SERVICES / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"] == {
        "wheel": {"packages": ["src/buildernet"]}
    }


def test_wheel_holds_no_test_double() -> None:
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    assert files
    assert [str(f) for f in files if any(TEST_DOUBLE.search(part) for part in f.parts)] == []


def test_shipped_code_never_imports_tests() -> None:
    test_only = {"tests", "pytest", "hypothesis", "unittest"}
    importing = {str(p): imported_roots(p) & test_only for p in PACKAGE.rglob("*.py")}
    assert {path: names for path, names in importing.items() if names} == {}
