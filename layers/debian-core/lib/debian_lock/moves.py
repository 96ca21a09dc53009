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


def diff(old: Lock | None, new: Lock) -> list[Move]:
    """What moves from one lock to the other, sorted by name; no ``old`` means all is added."""
    return moves(_pins(old) if old else {}, _pins(new))


def moves(old: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]) -> list[Move]:
    """The same for any pinning given as name to (version, checksum)."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            same_version = before and after and before[0] == after[0]
            found.append(Move(name, _shown(before, same_version), _shown(after, same_version)))
    return found


def table(moved: Iterable[Move]) -> list[str]:
    """The moves as aligned lines: name, old, new."""
    rows = [(move.name, move.old or "(new)", move.new or "(gone)") for move in moved]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    return [f"{name:{widths[0]}}  {old:{widths[1]}}  -> {new}" for name, old, new in rows]


def refreshed(old: Lock | None, new: Lock) -> Lock:
    """The lock to write: ``old`` where only the archive's date has moved on.

    The older snapshot still holds every package, so a file without moves stays as it is.
    """
    if old and dataclasses.replace(new, snapshot=old.snapshot) == old:
        return old
    return new


def _pins(lock: Lock) -> dict[str, tuple[str, str]]:
    return {package.name: (package.version, package.sha256) for package in lock.packages}


def _shown(pin: tuple[str, str] | None, with_checksum: object) -> str | None:
    if pin is None:
        return None
    return f"{pin[0]} (sha256 {pin[1][:12]})" if with_checksum else pin[0]
