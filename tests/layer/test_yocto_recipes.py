# SPDX-License-Identifier: MIT
"""What the Yocto flavour says of the upstream layers, compared with the checkouts."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.recipes import assigned
from tests.support.yocto import LAYER, ROOT, layers_of

if TYPE_CHECKING:
    from pathlib import Path

LISTED: Final[dict[str, Any]] = tomllib.loads((LAYER / "oe/differences.toml").read_text())
RECIPE: Final = LAYER / "oe/recipes-services/buildernet/buildernet-services_0.1.0.bb"
SOURCES: Final = ROOT / "services/src/buildernet"
# Never in an image: what runs outside the TEE or belongs to the build.
OUTSIDE: Final = {"archive", "attested_verify", "builder_hub", "measure"}
LTS: Final = {name: e["wrynose"] for name, e in LISTED["python"].items() if "wrynose" in e}


def upstream_layers(checkouts: Path) -> list[Path]:
    names = ("openembedded-core", "meta-openembedded")
    return [layer for name in names for layer in layers_of(name, checkouts / name)]


@pytest.mark.parametrize("name", LTS)
def test_version_of_the_lts_is_as_listed(checkouts: Path, name: str) -> None:
    layers = upstream_layers(checkouts)
    found = [p for layer in layers for p in layer.glob(f"recipes-*/*/python3-{name}_*.bb")]
    versions = {path.stem.rsplit("_", 1)[1] for path in found}
    # One recipe keeps its version in a file beside it.
    for layer in layers:
        for path in layer.glob(f"recipes-*/*/python3-{name}-common.inc"):
            versions |= set(re.findall(r'^PV = "(.*)"', path.read_text(), re.MULTILINE))
    assert versions == {LTS[name]}


def test_recipes_of_our_own_are_missing_upstream(checkouts: Path) -> None:
    """One that appears upstream is dropped here; one that is newer here says why."""
    layers = upstream_layers(checkouts)
    ours = {p.stem.rsplit("_", 1)[0] for p in LAYER.glob("oe/recipes-*/*/*_*.bb")}
    theirs = {p.stem.rsplit("_", 1)[0] for r in layers for p in r.glob("recipes-*/*/*_*.bb")}
    newer = {
        path.stem.rsplit("_", 1)[0]
        for path in LAYER.glob("oe/recipes-*/*/*_*.bb")
        if 'DEFAULT_PREFERENCE = "-1"' in path.read_text()
    }
    assert ours & theirs == newer


def modules_in_images() -> set[str]:
    """Top-level and dotted names of the standard library that the services import."""
    found: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        if path.relative_to(SOURCES).parts[0] in OUTSIDE:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    standard = {name for name in found if name.split(".")[0] in sys.stdlib_module_names}
    return standard - {"__future__", *sys.builtin_module_names}


def test_packages_of_the_standard_library_hold_what_the_services_import(checkouts: Path) -> None:
    devtools = checkouts / "openembedded-core/meta/recipes-devtools/python"
    text = (devtools / "python3/python3-manifest.json").read_text()
    # The file begins with comments, which are no JSON.
    manifest: dict[str, Any] = json.loads(re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
    wanted = set(assigned(RECIPE, "PYTHON_STANDARD_LIBRARY").split())
    assert {f"python3-{name}" for name in manifest} >= wanted
    places = {
        place.rstrip("/"): f"python3-{name}"
        for name, entry in manifest.items()
        for place in [*entry["files"], *entry.get("cached", [])]
    }
    # What no package names is in the last one, python3-misc.
    needed = {
        module: next((places[p] for p in places_of(module) if p in places), "python3-misc")
        for module in modules_in_images()
    }
    assert len(needed) > 10
    assert {m: package for m, package in needed.items() if package not in wanted} == {}


def places_of(module: str) -> list[str]:
    """Where the manifest may name a module: itself, then its package, as source or compiled."""
    names = (module.replace(".", "/"), module.split(".")[0])
    library = "${libdir}/python${PYTHON_MAJMIN}"
    dynamic = [f"{library}/lib-dynload/{name}.*.so" for name in names]
    return [f"{library}/{name}{end}" for name in names for end in (".py", "")] + dynamic
