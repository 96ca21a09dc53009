# SPDX-License-Identifier: MIT
"""`python -m tests.bench [--json]`: take all figures and print them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.builds import measure_builds
from tests.bench.figures import Figure, as_json, as_table, machine, ratio
from tests.bench.guest import measure_image
from tests.bench.mkosi_reference import measure_reference
from tests.support.build_copy import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE: Final = "/var/tmp"  # noqa: S108  (mkdtemp; on disk, with room for two builds)


def main() -> int:
    """Exit code 0 whatever the figures are; this is a measurement, not a test."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    taken_on = machine()
    figures = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=PLACE) as folder:
        for figure in take_all(Path(folder)):
            print(f"bench: {'  '.join(figure.row())}", file=sys.stderr, flush=True)  # noqa: T201
            figures.append(figure)
    cold, reference = pick(figures, "cold build"), pick(figures, "mkosi: cold build")
    disk, their_disk = pick(figures, "disk image"), pick(figures, "mkosi: disk image")
    figures += [
        ratio("cold build / mkosi's", cold, reference, aim=1.0),
        ratio("disk image / mkosi's", disk, their_disk),
    ]
    print((as_json if options.json else as_table)(figures, taken_on))  # noqa: T201
    return 0


def take_all(work: Path) -> Iterator[Figure]:
    """Every figure of ours and of the reference, as they come."""
    (work / "ours").mkdir()
    (work / "mkosi").mkdir()
    components = work / "ours/tree/build/tmp/components"
    yield from measure_builds(work / "ours")
    yield from measure_reference(components, work / "mkosi")
    yield from measure_image(ROOT / "build/deploy")


def pick(figures: list[Figure], name: str) -> Figure:
    """The figure of that name."""
    return next(figure for figure in figures if figure.name == name)


if __name__ == "__main__":
    sys.exit(main())
