# SPDX-License-Identifier: MIT
"""How long builds take: from scratch, after one edit, and with nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, take
from tests.support.build_copy import BuildCopy, copy_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE: Final = "buildernet-image"
EDITED: Final = "services/src/buildernet/system_api/handlers.py"
REBUILD_AIM_SECONDS: Final = 45.0
NOTHING_AIM_SECONDS: Final = 10.0


def measure_builds(work: Path) -> Iterator[Figure]:
    """Build the production image in a copy of the tree, three times."""
    copy = copy_tree(work / "tree")

    def build(log: str) -> float:
        return copy.build(work / log, [IMAGE])

    def rebuild() -> float:
        _edit(copy)
        return build("edit.log")

    note = "every task from scratch, downloads at hand"
    yield take("cold build", "s", lambda: build("cold.log"), note=note)
    yield take("no-op build", "s", lambda: build("nothing.log"), aim=NOTHING_AIM_SECONDS)
    yield take("rebuild after a service edit", "s", rebuild, aim=REBUILD_AIM_SECONDS, note=EDITED)


def _edit(copy: BuildCopy) -> None:
    with (copy.tree / EDITED).open("a") as file:
        file.write("# A comment, so that the file differs.\n")
