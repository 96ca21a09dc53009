# SPDX-License-Identifier: MIT
"""What differs between two pinnings, in lines a person reads."""

import dataclasses
from collections.abc import Iterable, Mapping

from debian_lock.lock import Lock


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Move:
    """One entry that moved: ``old`` is None where it was added, ``new`` where it left.

    A version that stays while the content changes is shown with the start of its checksum.
    """

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"+ {self.name} {self.new}"
        if self.new is None:
            return f"- {self.name} {self.old}"
        return f"  {self.name} {self.old} -> {self.new}"


def diff(old: Lock | None, new: Lock) -> list[Move]:
    """What moves from one lock to the other, sorted by name; no ``old`` means all is added."""
    return moves(_pins(old) if old else {}, _pins(new))


def moves(old: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]) -> list[Move]:
    """The same for any pinning given as name to (version, checksum)."""
    return sorted(
        Move(name, *_shown(old.get(name), new.get(name)))
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name)
    )


def table(moved: Iterable[Move]) -> list[str]:
    """The moves as aligned lines: name, old, new."""
    rows = [(move.name, move.old or "(new)", move.new or "(gone)") for move in moved]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    return [f"{name:{widths[0]}}  {old:{widths[1]}}  -> {new}" for name, old, new in rows]


def _pins(lock: Lock) -> dict[str, tuple[str, str]]:
    return {package.name: (package.version, package.sha256) for package in lock.packages}


def _shown(
    old: tuple[str, str] | None, new: tuple[str, str] | None
) -> tuple[str | None, str | None]:
    if old and new and old[0] == new[0]:
        return tuple(f"{version} (sha256 {sha256[:12]})" for version, sha256 in (old, new))  # type: ignore[return-value]
    return old and old[0], new and new[0]
