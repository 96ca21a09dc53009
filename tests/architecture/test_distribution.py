# SPDX-License-Identifier: MIT
"""What ships holds no test double: the wheel is services/src/buildernet and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from hatchling.builders.wheel import WheelBuilder

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


def normal(name: str) -> str:
    """A distribution's name, without extras and version, as the index compares them."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;~! ]", name)[0]).lower()


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((SERVICES / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {normal(name) for names in lists for name in names}
    imported = set.union(*(imported_roots(path) for path in PACKAGE.rglob("*.py")))
    foreign = imported - set(sys.stdlib_module_names) - {"buildernet"}
    assert "aiohttp" in foreign
    owners = packages_distributions()
    undeclared = [name for name in foreign if not declared & {normal(one) for one in owners[name]}]
    assert sorted(undeclared) == []


def wheel_contents(folder: Path) -> dict[str, bytes]:
    """Build the wheel, offline, and unpack it."""
    (wheel,) = WheelBuilder(str(SERVICES)).build(directory=str(folder))
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_built_wheel_holds_neither_simulator_nor_simulated_root(tmp_path: Path) -> None:
    chain = SERVICES.parent / "tests/support/simulated_tee/public-chain"
    bodies = [pem for path in chain.glob("*.pem") for pem in pem_bodies(path.read_text())]
    assert len(bodies) == 9  # five keys, four certificates
    contents = wheel_contents(tmp_path)
    assert "buildernet/attestation/verify/anchors.py" in contents
    for name, data in contents.items():
        text = re.sub(rb'["\s]', b"", data)
        assert not any(body.encode() in text for body in bodies), name
        assert b"SIMULATED" not in data, name
        assert b"mfusepy" not in data, name


def pem_bodies(text: str) -> list[str]:
    """The base64 of each object of a PEM file, without line ends."""
    found = re.findall(r"-----BEGIN [A-Z ]+-----(.*?)-----END", text, re.DOTALL)
    return ["".join(body.split()) for body in found]


def test_no_recipe_of_the_production_image_names_the_simulator() -> None:
    layers = SERVICES.parent / "layers"
    development = {"development", "buildernet-image-dev", "simulated-tee"}
    naming = [
        str(path.relative_to(layers))
        for path in layers.rglob("*")
        if path.is_file()
        and not any(re.split(r"[_.]", part)[0] in development for part in path.parts)
        # The list of what differs between the flavours is no recipe.
        and path.name != "differences.toml"
        and re.search(rb"simulated.tee", path.read_bytes())
    ]
    assert naming == []
