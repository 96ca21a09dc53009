# SPDX-License-Identifier: MIT
"""A section that fails or hangs costs neither the figures before it nor the sections after it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import tests.bench.__main__ as bench
from tests.bench.__main__ import Section, within_limit
from tests.bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator


def hanging(_work: Path) -> Iterator[Figure]:
    yield Figure("first", 1.0, "s")
    signal.pause()


def failing(_work: Path) -> Iterator[Figure]:
    yield Figure("first", 1.0, "s")
    raise RuntimeError("no proxy")


def test_a_section_ends_with_its_limit(tmp_path: Path) -> None:
    first, rest = within_limit("proxy", Section(0.05, "", hanging), tmp_path)
    assert first.value == 1.0
    assert rest.row() == (
        "proxy: the rest",
        "-",
        "",
        "not measured: the section's limit of 0.05 s is over",
    )


def test_a_failure_is_a_figure(tmp_path: Path) -> None:
    _, rest = within_limit("proxy", Section(60, "", failing), tmp_path)
    assert "no proxy" in rest.note


def test_whatever_measures_is_a_section() -> None:
    modules = [path for path in Path(bench.__file__).parent.glob("*.py") if path.stem != "__main__"]
    assert [path.stem for path in modules if '__name__ == "__main__"' in path.read_text()] == []
    assert {"signatures", "sharing", "dedup", "archive"} <= set(bench.SECTIONS)
