# SPDX-License-Identifier: MIT
"""Two deploy folders, compared bit for bit; diffoscope says where they differ."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TELLING: Final = ("rootfs-files.json", "firmware.fd", "uki.efi", "disk.raw")
"""The first of these that differs is the cause of what differs after it."""
REPORT_BYTES: Final = 20_000
"""Of diffoscope, per image: enough to find the cause, short enough to read."""
REPORT_SECONDS: Final = 300.0
"""A whole disk image takes diffoscope a minute or two."""


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """One published file on both sides, by its path below the deploy folder."""

    name: str
    first: str | None
    """The sha256 in hex; None where the file is missing."""
    second: str | None

    @property
    def same(self) -> bool:
        """Whether both sides have it with the same content."""
        return self.first == self.second

    def __str__(self) -> str:
        if self.same:
            return f"  same     {self.first}  {self.name}"
        sides = f"{self.first or 'missing':64}  {self.name}\n           {self.second or 'missing'}"
        return f"  DIFFERS  {sides}"


def compare(first: Path, second: Path) -> list[ComparedFile]:
    """Every file of either folder, sorted by name."""
    left, right = _digests(first), _digests(second)
    names = sorted(left.keys() | right.keys())
    return [ComparedFile(name, left.get(name), right.get(name)) for name in names]


def explain(first: Path, second: Path, differing: Sequence[ComparedFile]) -> Iterator[str]:
    """Yield diffoscope's report of the most telling difference of each image."""
    names = [Path(file.name) for file in differing if file.first and file.second]
    for image in sorted({name.parent for name in names}):
        here = {name.name for name in names if name.parent == image}
        name = image / next((name for name in TELLING if name in here), min(here))
        command = ["diffoscope", "--no-progress", "--text", "-", "--max-text-report-size"]
        try:
            yield subprocess.run(
                [*command, str(REPORT_BYTES), first / name, second / name],
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
                check=False,
                timeout=REPORT_SECONDS,
            ).stdout
        except FileNotFoundError:
            yield f"{name}: no report: diffoscope is not installed (make setup)"
        except subprocess.TimeoutExpired:
            yield f"{name}: diffoscope did not end in {REPORT_SECONDS:g} s"


def _digests(deploy: Path) -> dict[str, str]:
    found = {}
    for path in (path for path in deploy.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            found[str(path.relative_to(deploy))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
