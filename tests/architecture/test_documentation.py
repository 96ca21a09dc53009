# SPDX-License-Identifier: MIT
"""The documents name what exists: packages, units, settings, verbs, decisions.

And their links lead somewhere.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "services/src/buildernet"
PACKAGES: Final = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
# base/config.py is the reader of configuration files, not a service's settings.
CONFIGURED: Final = [
    name for name in PACKAGES if name != "base" and (PACKAGE / name / "config.py").exists()
]
UNIT_FOLDERS: Final = [
    ROOT / "services/systemd",
    ROOT / "services/host",
    ROOT / "layers/meta-buildernet/files",
]
LINK: Final = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def documents() -> list[Path]:
    """Markdown files that people read here, not those that were built or installed."""
    hidden = {"build", ".venv", ".git", ".pytest_cache"}
    found = [p for p in ROOT.rglob("*.md") if not hidden & set(p.relative_to(ROOT).parts)]
    assert found
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_architecture_names_the_package(package: str) -> None:
    assert f"`{package}`" in text("ARCHITECTURE.md")


def test_every_unit_is_documented() -> None:
    units = {
        path.name
        for folder in UNIT_FOLDERS
        for path in folder.rglob("*")
        if path.suffix in {".service", ".socket", ".timer", ".mount", ".target"} and path.is_file()
    }
    said = "\n".join(path.read_text() for path in documents())
    assert units
    assert sorted(unit for unit in units if unit not in said) == []


@pytest.mark.parametrize("package", CONFIGURED)
def test_every_setting_is_documented(package: str) -> None:
    module = importlib.import_module(f"buildernet.{package}.config")
    own = [
        value
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and getattr(value, "__module__", "") == module.__name__
    ]
    settings = {field.name for value in own for field in dataclasses.fields(value)}
    page = text(f"docs/services/{package.replace('_', '-')}.md")
    assert settings
    assert sorted(name for name in settings if f"`{name}`" not in page) == []


def test_readme_names_every_verb() -> None:
    verbs = re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE)
    assert verbs
    assert [verb for verb in verbs if f"make {verb}" not in text("README.md")] == []


def test_documents_name_only_verbs_that_exist() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = {
        verb
        for path in documents()
        for verb in re.findall(
            r"(?:^|[`=] ?|strict )make ([a-z][a-z-]+)", path.read_text(), re.MULTILINE
        )
    }
    assert named
    assert sorted(named - verbs) == []


def test_changelog_has_a_place_for_what_comes_next() -> None:
    unreleased = text("CHANGELOG.md").partition("## [Unreleased]")[2].partition("\n## ")[0]
    assert re.search(r"^Measurements: \S+", unreleased, re.MULTILINE)


def test_every_decision_is_listed() -> None:
    decisions = {path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md")}
    listed = set(LINK.findall(text("docs/decisions/README.md")))
    assert decisions
    assert decisions == {name for name in listed if name[0].isdigit()}


def test_links_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in documents()
        for link in LINK.findall(path.read_text())
        if not (path.parent / link).exists()
    ]
    assert broken == []
