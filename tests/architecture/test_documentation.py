# SPDX-License-Identifier: MIT
"""The documents name what exists: packages, units, settings, verbs, decisions.

And their links lead somewhere.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "services/src/buildernet"
PACKAGES: Final = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
# base/config.py is the reader of configuration files, not a service's settings.
CONFIGURED: Final = [
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*config.py"))
    if path.parent != PACKAGE / "base"
]
PAGES: Final = {
    "node.registration_config": "node",
    "orderflow_proxy.sender_config": "orderflow-sender",
}
"""Where settings stand that are not on their package's page."""
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


def settings(name: str) -> set[str]:
    """Names of all fields of a service's configuration."""
    module = importlib.import_module(f"buildernet.{name}")
    found = {
        field.name
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and getattr(value, "__module__", "") == module.__name__
        for field in dataclasses.fields(value)
    }
    assert found
    return found


def page_of(name: str) -> str:
    page = PAGES.get(name) or name.removesuffix(".config").replace("_", "-")
    return text(f"docs/services/{page}.md")


def documented_settings(page: str) -> list[tuple[str, ...]]:
    """The keys that each table of settings names, and each part of it below a row in bold."""
    parts: list[tuple[str, ...]] = []
    for table in re.findall(r"^\| key \|.*\n((?:\|.*\n)+)", page, re.MULTILINE):
        for part in re.split(r"^\| \*\*.*\n", table, flags=re.MULTILINE):
            cells = re.findall(r"^\|([^|]*)\|", part, re.MULTILINE)
            parts.append(tuple(re.findall(r"`([^`]+)`", " ".join(cells))))
    return parts


@pytest.mark.parametrize("name", CONFIGURED)
def test_every_setting_is_documented(name: str) -> None:
    page = page_of(name)
    assert sorted(key for key in settings(name) if f"`{key}`" not in page) == []


@pytest.mark.parametrize("name", CONFIGURED)
def test_every_documented_setting_exists(name: str) -> None:
    named = {key for part in documented_settings(page_of(name)) for key in part}
    assert named
    assert sorted(named - settings(name)) == []


@pytest.mark.parametrize("name", CONFIGURED)
def test_no_setting_is_documented_twice_in_a_table(name: str) -> None:
    parts = documented_settings(page_of(name))
    assert [key for part in parts for key, times in Counter(part).items() if times > 1] == []


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
