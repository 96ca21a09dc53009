# SPDX-License-Identifier: MIT
"""Request files: which packages a set asks for, and why.

One entry per line, ``#`` starts a comment::

    systemd               # the init system
    without perl-base     # only for maintainer scripts, which never run
    include target        # everything target.packages says

``without`` treats a dependency as already there: neither it nor what only it needs is pinned.
"""

import dataclasses
from pathlib import Path

from debian_lock.errors import LockFormatError
from debian_lock.lock import NAME

SUFFIX = ".packages"
# A request file is written by hand; more is a mistake or an include cycle's product.
MAX_REQUEST_BYTES = 256 << 10


@dataclasses.dataclass(frozen=True, slots=True)
class Requests:
    """What a set asks for, and which dependencies it leaves out; both sorted."""

    names: tuple[str, ...]
    without: tuple[str, ...]


def read_requests(path: Path | str) -> Requests:
    """Read a request file and those it includes (from the same folder).

    A file may request what an included one leaves out; its own request then counts.

    Raises:
        LockFormatError: A line is none of the three forms, a file is included in a circle, or a
            package is both requested and left out.
    """
    requests = _read(Path(path), ())
    if not requests.names:
        raise LockFormatError(f"{path}: no package is requested")
    return requests


def _read(path: Path, above: tuple[Path, ...]) -> Requests:
    if path in above:
        raise LockFormatError(f"{path}: included in a circle")
    own: set[str] = set()
    without: set[str] = set()
    included: list[Requests] = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        match line.partition("#")[0].split():
            case []:
                pass
            case ["include", other] if NAME.fullmatch(other):
                included.append(_read(path.with_name(other + SUFFIX), (*above, path)))
            case ["without", name] if NAME.fullmatch(name):
                without.add(name)
            case [name] if NAME.fullmatch(name):
                own.add(name)
            case _:
                hint = "write `NAME`, `without NAME` or `include SET`, then `# why`"
                raise LockFormatError(f"{path}:{number}: not a request: {line[:80]!r}", hint=hint)
    names = own.union(*(other.names for other in included))
    inherited = set[str]().union(*(other.without for other in included)) - own
    if both := sorted(names & (without | inherited)):
        raise LockFormatError(f"{path}: requested and left out at once: {', '.join(both)}")
    return Requests(tuple(sorted(names)), tuple(sorted(without | inherited)))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_REQUEST_BYTES + 1)
        if len(data) > MAX_REQUEST_BYTES:
            raise LockFormatError(f"{path}: larger than {MAX_REQUEST_BYTES} bytes")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockFormatError(f"{path}: cannot be read: {error}") from error
