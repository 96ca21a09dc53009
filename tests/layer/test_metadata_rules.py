# SPDX-License-Identifier: MIT
"""Rules for the BitBake metadata that no parser enforces; CONTRIBUTING.md gives their reasons.

Each rule is tried on a line that breaks it, so that a rule that stops matching is noticed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

LAYERS: Final = Path(__file__).resolve().parents[2] / "layers"
NODE: Final = LAYERS / "meta-buildernet"
CORE: Final = LAYERS / "debian-core"
# Longer Python belongs into a tested module or script that the task calls.
MAX_INLINE_PYTHON_LINES: Final = 10

# Rule -> (what breaks it, a line that must be found).
FORBIDDEN: Final = {
    "a task that always runs": (r"\bnostamp\b", 'do_install[nostamp] = "1"'),
    "network outside do_fetch": (r"^(?!do_fetch\b)\w+\[network\]", 'do_compile[network] = "1"'),
    "a source that follows a branch": (r"\bAUTOREV\b", 'SRCREV = "${AUTOREV}"'),
    "an unnamed licence": (r"^LICENSE\b.*\bCLOSED\b", 'LICENSE = "CLOSED"'),
}
INLINE_PYTHON: Final = re.compile(
    r"^(?P<name>(?:fakeroot +)?python\b[^\n]*\{|def [^\n]*:)\n(?P<body>.*?)(?=^\}|^\S|\Z)",
    re.MULTILINE | re.DOTALL,
)
IMPORTS_BITBAKE: Final = re.compile(r"^\s*(?:import|from) +bb\b", re.MULTILINE)


def metadata(layer: Path) -> list[Path]:
    """The files of a layer that BitBake parses; files/ holds what it copies."""
    suffixes = {".bb", ".bbappend", ".bbclass", ".conf", ".inc"}
    paths = [p for p in sorted(layer.rglob("*")) if layer / "files" not in p.parents]
    found = [path for path in paths if path.suffix in suffixes]
    assert found, f"no metadata below {layer}"
    return found


def without_comments(path: Path) -> str:
    return re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)


def shown(path: Path) -> str:
    return str(path.relative_to(LAYERS))


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_forbidden_metadata_is_absent(rule: str) -> None:
    pattern, example = FORBIDDEN[rule]
    forbidden = re.compile(pattern, re.MULTILINE)
    assert forbidden.search(example)
    paths = [*metadata(NODE), *metadata(CORE)]
    assert [shown(path) for path in paths if forbidden.search(without_comments(path))] == []


def test_inline_python_is_short() -> None:
    long_block = "python do_build() {\n" + "    pass\n" * (MAX_INLINE_PYTHON_LINES + 1) + "}\n"
    assert too_long(long_block) == ["python do_build() {"]
    assert {shown(path): too_long(path.read_text()) for path in metadata(NODE)} == {
        shown(path): [] for path in metadata(NODE)
    }


def too_long(text: str) -> list[str]:
    """Headers of the Python blocks in a recipe or class that have too many lines."""
    blocks = INLINE_PYTHON.finditer(text)
    return [
        block["name"]
        for block in blocks
        if len(block["body"].strip().splitlines()) > MAX_INLINE_PYTHON_LINES
    ]


def test_every_own_variable_is_documented() -> None:
    text = "\n".join(without_comments(path) for path in metadata(NODE))
    used = set(re.findall(r"\bBUILDERNET_[A-Z0-9_]*[A-Z0-9]\b", text))
    documented = set(re.findall(r"^(BUILDERNET_\w+)\[doc\]", text, re.MULTILINE))
    assert used
    assert sorted(used - documented) == []


@pytest.mark.parametrize("layer", [NODE, CORE], ids=lambda layer: layer.name)
def test_metadata_names_its_licence(layer: Path) -> None:
    unnamed = [p for p in metadata(layer) if "SPDX-License-Identifier:" not in p.read_text()[:200]]
    assert [shown(path) for path in unnamed] == []


def test_what_imports_bitbake_is_gpl() -> None:
    """BitBake is GPL-2.0-only, and so is a program that imports it."""
    programs = [
        path
        for path in CORE.rglob("*")
        if path.is_file() and (path.suffix == ".py" or path.parent.name == "bin")
    ]
    importers = [path for path in programs if IMPORTS_BITBAKE.search(path.read_text())]
    assert importers
    licence = "SPDX-License-Identifier: GPL-2.0-only"
    assert [shown(path) for path in importers if licence not in path.read_text()[:200]] == []


def test_debian_core_knows_nothing_of_this_node() -> None:
    paths = [path for path in CORE.rglob("*") if "__pycache__" not in path.parts]
    named = [path for path in paths if "buildernet" in shown(path).lower()]
    naming = [
        path for path in paths if path.is_file() and b"buildernet" in path.read_bytes().lower()
    ]
    assert paths
    assert [shown(path) for path in [*named, *naming]] == []


def test_layer_brings_what_yocto_check_layer_reads() -> None:
    readme = (NODE / "README.md").read_text().lower()
    assert "maintainer" in readme
    assert "patch" in readme
    assert re.search(r"\S+@\S+", readme)
    assert (NODE / "SECURITY.md").read_text().strip()
    assert (NODE / "COPYING.MIT").read_text() == (LAYERS.parent / "LICENSE").read_text()
