# SPDX-License-Identifier: MIT
"""`python -m tests.bench [SECTION ...] [--json]`: take figures and print them."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, as_json, as_table, machine, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLACE: Final = "/var/tmp"  # noqa: S108  (mkdtemp; on disk, with room for two builds)


class TimeLimitError(BaseException):
    """A section takes too long; no exception of a figure, so that no figure swallows it."""


@dataclass(frozen=True, slots=True)
class Section:
    """Some of the figures, taken under one limit."""

    limit_s: float
    about: str
    measure: Callable[[Path], Iterator[Figure]]


# Modules are imported by the section that needs them: most need a part of what the others do.
def _builds(work: Path) -> Iterator[Figure]:
    from tests.bench.builds import measure_builds
    from tests.bench.guest import measure_image
    from tests.bench.mkosi_reference import measure_reference
    from tests.support.build_copy import ROOT

    (work / "ours").mkdir()
    (work / "mkosi").mkdir()
    figures = []
    components = work / "ours/tree/build/tmp/components"
    for measured in (
        measure_builds(work / "ours"),
        measure_reference(components, work / "mkosi"),
        measure_image(ROOT / "build/deploy"),
    ):
        for figure in measured:
            figures.append(figure)
            yield figure
    cold, reference = pick(figures, "cold build"), pick(figures, "mkosi: cold build")
    disk, their_disk = pick(figures, "disk image"), pick(figures, "mkosi: disk image")
    yield ratio("cold build / mkosi's", cold, reference, aim=1.0)
    yield ratio("disk image / mkosi's", disk, their_disk)


def _quotes(_work: Path) -> Iterator[Figure]:
    from tests.bench.quotes import measure_quotes

    return measure_quotes()


def _handshakes(_work: Path) -> Iterator[Figure]:
    from tests.bench.attested_handshakes import measure_handshakes

    return measure_handshakes()


def _proxy(_work: Path) -> Iterator[Figure]:
    from tests.bench.proxy_traffic import measure_traffic

    return measure_traffic()


def _orderflow(_work: Path) -> Iterator[Figure]:
    from tests.bench.orderflow_traffic import measure_orderflow

    return measure_orderflow()


def _signatures(_work: Path) -> Iterator[Figure]:
    from tests.bench.signatures import measure_signatures

    return measure_signatures()


def _sharing(_work: Path) -> Iterator[Figure]:
    from tests.bench.sharing import measure_sharing

    return measure_sharing()


def _dedup(_work: Path) -> Iterator[Figure]:
    from tests.bench.dedup import measure_memory_of_orders

    return measure_memory_of_orders()


def _archive(work: Path) -> Iterator[Figure]:
    from tests.bench.archive import measure_archive

    return measure_archive(work)


SECTIONS: Final = {
    "image": Section(3600, "build, image and boot, beside mkosi", _builds),
    "quotes": Section(120, "verification of quotes, beside dcap-qvl", _quotes),
    "handshakes": Section(120, "attested handshakes", _handshakes),
    "proxy": Section(300, "proxied requests, beside nginx and cvm-reverse-proxy", _proxy),
    "orderflow": Section(
        600, "bundles per core and latency, beside tdx-orderflow-proxy", _orderflow
    ),
    "signatures": Section(
        120, "signers recovered per second, beside OpenSSL and the specification", _signatures
    ),
    "sharing": Section(120, "orders under one signature, beside one request each", _sharing),
    "dedup": Section(180, "memory of a million orders, beside an OrderedDict", _dedup),
    "archive": Section(300, "rows stored per second, beside chDB alone", _archive),
}


def main() -> int:
    """Exit code 0 whatever the figures are; this is a measurement, not a test."""
    about = "\n".join(f"  {name:12} {section.about}" for name, section in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="bench",
        description=__doc__,
        epilog=f"sections (all of them unless some are named):\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("section", nargs="*", help="which figures to take")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if unknown := set(options.section) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    taken_on = machine()
    figures = []
    for name, section in SECTIONS.items():
        if options.section and name not in options.section:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-", dir=PLACE) as folder:
            for figure in within_limit(name, section, Path(folder)):
                print(f"bench: {'  '.join(figure.row())}", file=sys.stderr, flush=True)  # noqa: T201
                figures.append(figure)
    print((as_json if options.json else as_table)(figures, taken_on))  # noqa: T201
    return 0


def within_limit(name: str, section: Section, work: Path) -> Iterator[Figure]:
    """The figures of a section, until it ends or its time does; a failure is a figure too."""
    try:
        with alarm(section.limit_s):
            yield from section.measure(work)
    except TimeLimitError:
        reason = f"not measured: the section's limit of {section.limit_s} s is over"
        yield Figure(f"{name}: the rest", None, "", note=reason)
    except Exception as error:  # one section must not cost the others
        yield Figure(f"{name}: the rest", None, "", note=f"not measured: {error!r}")


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` in here after that time."""

    def ring(*_: object) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pick(figures: list[Figure], name: str) -> Figure:
    """The figure of that name."""
    return next(figure for figure in figures if figure.name == name)


if __name__ == "__main__":
    sys.exit(main())
