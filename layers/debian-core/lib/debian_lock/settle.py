# SPDX-License-Identifier: MIT
"""What a build does when a pinned package can no longer be had.

The rule, in this order:

1. All pinned packages are had, from the mirror or else from the snapshot archive: the pins hold.
2. Some can be had from neither: the request lists are resolved anew, all sets together and from one
   state of the archive. Replacing single packages would be wrong: the kernel's package name holds
   its ABI, and packages of one set depend on each other's versions.
3. The archive still lists what could not be had: then the network is at fault, not the pin, and
   nothing moves. With ``strict`` nothing moves either.

This module only decides; downloading and resolving are passed in.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from debian_lock.errors import LockError, PackageGoneError
from debian_lock.lock import Lock, Package
from debian_lock.moves import Move, diff, table

Locks = Mapping[str, Lock]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The locks to go on with, by set name.

    Attributes:
        locks: The pinned locks, or those resolved anew.
        gone: Pinned packages that could not be had, as ``name version``; empty when the pins hold.
        moved: What differs from the pins, by set name.
    """

    locks: Locks
    gone: tuple[str, ...] = ()
    moved: Mapping[str, tuple[Move, ...]] = dataclasses.field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        """Whether the result is built from the published inputs."""
        return not self.gone

    def record(self) -> dict[str, object]:
        """The note for the manifest, as JSON values."""
        moved = {
            name: [dataclasses.asdict(move) for move in moves] for name, moves in self.moved.items()
        }
        return {"pinned": self.pinned, "gone": list(self.gone), "moved": moved}

    def warning(self) -> str:
        """What to tell the user, loudly; empty when the pins hold."""
        if self.pinned:
            return ""
        lines = [
            "PINNED DEBIAN PACKAGES ARE GONE from the mirror and the snapshot archive is out of",
            "reach; going on with the mirror's newer ones. THE MEASUREMENTS WILL DIFFER from the",
            f"published ones. (PINS=strict fails instead.) Gone: {', '.join(self.gone)}",
        ]
        for name, moves in self.moved.items():
            lines += [f"{name}: {len(moves) or 'nothing'} moved"]
            lines += [f"  {line}" for line in table(moves)]
        return "\n".join(lines)


def settle(
    locks: Locks,
    fetch: Callable[[Lock], Iterable[Package]],
    resolve: Callable[[], Locks],
    *,
    strict: bool = False,
) -> Outcome:
    """Fetch what the locks pin, or decide what replaces them; see the module's description.

    Args:
        locks: The pinned sets, by name.
        fetch: Downloads a lock's packages (those already there cost nothing) and returns the ones
            that can be had nowhere.
        resolve: Resolves the requests of the same sets against the mirror as it is now.
        strict: Fail rather than move.

    Raises:
        PackageGoneError: A package cannot be had and nothing may or can replace it.
    """
    missing = _missing(locks, fetch)
    if not missing:
        return Outcome(locks)
    gone = tuple(f"{package.name} {package.version}" for package in missing)
    listing = ", ".join(gone)
    if strict:
        hint = "unset PINS to go on with newer packages, or refresh the pins with `make pins`"
        raise PackageGoneError(f"PINS=strict, and these cannot be fetched: {listing}", hint=hint)
    try:
        fresh = resolve()
    except LockError as error:
        hint = "check the network and the mirror"
        raise PackageGoneError(f"cannot be fetched: {listing}; and {error}", hint=hint) from error
    listed = {package for lock in fresh.values() for package in lock.packages}
    if unfetched := [package.name for package in missing if package in listed]:
        hint = "this is a matter of the network or the mirror, not of the pins: try again"
        raise PackageGoneError(f"listed but not served: {', '.join(unfetched)}", hint=hint)
    if still := _missing(fresh, fetch):
        names = ", ".join(package.name for package in still)
        raise PackageGoneError(f"listed but not served: {names}", hint="try again later")
    moved = {name: tuple(diff(locks[name], lock)) for name, lock in fresh.items()}
    return Outcome(fresh, gone, moved)


def _missing(locks: Locks, fetch: Callable[[Lock], Iterable[Package]]) -> list[Package]:
    """What the fetcher could not get, each package once however many sets hold it."""
    return sorted({package for lock in locks.values() for package in fetch(lock)})
