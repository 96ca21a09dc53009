# SPDX-License-Identifier: MIT
"""Every test runs somewhere: in `make check`, `make test` or `make test-slow`."""

from __future__ import annotations

import itertools
import re
import shlex
import tomllib
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark.expression import Expression

ROOT: Final = Path(__file__).resolve().parents[2]
MARKED: Final = re.compile(
    r"^pytestmark = .*pytest\.mark\.(qemu|bitbake|interop|process|slow)", re.M
)


def markers() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [line.partition(":")[0] for line in settings["tool"]["pytest"]["ini_options"]["markers"]]


def check_words() -> list[str]:
    script = (ROOT / "scripts/check").read_text().replace("\\\n", " ")
    return shlex.split(next(line for line in script.splitlines() if line.startswith("step tests")))


def expressions() -> dict[str, str]:
    """What the verbs select; the check has its own, the two others name it in the Makefile."""
    words = check_words()
    later = re.findall(
        r'^\t@\$\(PY\) -m pytest -m "?([^"\n]+)"?$', (ROOT / "Makefile").read_text(), re.M
    )
    assert len(later) == 2
    return {"check": words[words.index("-m") + 1], "test": later[0], "test-slow": later[1]}


def selected(expression: str, marks: frozenset[str]) -> bool:
    def marked(name: str, /, **_: object) -> bool:
        return name in marks

    return Expression.compile(expression).evaluate(marked)


COMBINATIONS: Final = [
    frozenset(chosen)
    for size in range(len(markers()) + 1)
    for chosen in itertools.combinations(markers(), size)
]


@pytest.mark.parametrize("marks", COMBINATIONS, ids=lambda marks: "+".join(sorted(marks)) or "none")
def test_every_combination_of_markers_is_run_by_a_verb(marks: frozenset[str]) -> None:
    assert [verb for verb, chosen in expressions().items() if selected(chosen, marks)]


def test_property_tests_run_with_all_examples_too() -> None:
    marks = frozenset({"hypothesis"})
    chosen = expressions()
    assert selected(chosen["check"], marks)
    assert selected(chosen["test"], marks)
    assert "--hypothesis-profile=quick" in check_words()


def test_what_check_does_not_look_at_is_marked_for_another_verb() -> None:
    folders = {word for word in check_words() if word.startswith("tests/")}
    assert folders
    found = [
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if not any(path.is_relative_to(ROOT / folder) for folder in folders)
    ]
    assert found
    assert [str(path) for path in found if not MARKED.search(path.read_text())] == []
