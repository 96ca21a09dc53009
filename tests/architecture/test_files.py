# SPDX-License-Identifier: MIT
"""Rules for the files themselves: size, name, licence line."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# Files aim at 200 lines; above 400 their own authors complain (CONTRIBUTING.md).
MAX_PYTHON_LINES: Final = 400
# A launcher starts something; logic belongs into tested Python.
MAX_SHELL_LINES: Final = 50
# Names that say nothing of what is inside.
FORBIDDEN_NAMES: Final = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}
PYTHON: Final = re.compile(rb"#!\s*/usr/bin/env python3\b")
SHELL: Final = re.compile(rb"#!\s*/bin/(?:ba)?sh\b")


def tracked_files() -> list[Path]:
    """Files of the working tree that are committed or would be by ``git add``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.split(b"\0")
    paths = [ROOT / name.decode() for name in listed if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_files() -> list[Path]:
    found = [
        path
        for path in tracked_files()
        if path.suffix == ".py" or PYTHON.match(path.read_bytes()[:32])
    ]
    assert found
    return found


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_python_files_stay_readable() -> None:
    sizes = {shown(path): lines(path) for path in python_files()}
    assert {name: size for name, size in sizes.items() if size > MAX_PYTHON_LINES} == {}


def test_scripts_are_thin() -> None:
    launchers = [
        path for path in tracked_files() if path.parts[len(ROOT.parts)] in {"scripts", ".ci"}
    ]
    sizes = {shown(p): lines(p) for p in launchers if SHELL.match(p.read_bytes()[:32])}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > MAX_SHELL_LINES} == {}


def test_names_say_what_is_inside() -> None:
    vague = {
        shown(path)
        for path in tracked_files()
        if FORBIDDEN_NAMES & {*path.relative_to(ROOT).parts, path.stem}
    }
    assert vague == set()


def test_first_line_of_python_is_the_licence() -> None:
    unmarked = []
    for path in python_files():
        head = path.read_text().splitlines()[:2]
        if head and head[0].startswith("#!"):
            head = head[1:]
        if not head or not head[0].startswith("# SPDX-License-Identifier: "):
            unmarked.append(shown(path))
    assert unmarked == []
