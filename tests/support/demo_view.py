# SPDX-License-Identifier: MIT
"""What `make demo` shows: where the boot is, then the comparison as tables for people."""

import re
import sys
import time
from collections.abc import Sequence
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from buildernet.measure.digests import BANKS
from buildernet.measure.explain import Comparison, Row, Verdict
from buildernet.measure.live import LiveRow
from tests.support.demo_attested import Answer
from tests.support.demo_orders import OrderResult

STAGES: Final = (
    (r"BdsDxe: (loading|starting) Boot", "the firmware found the UKI on the disk and starts it"),
    (r"Linux version", "the kernel runs"),
    (r"Run /init", "the initrd opens the root with dm-verity"),
    (r"initrd: root verified", "the root is verified, systemd starts"),
    (r"Reached target .*sysinit\.target", "the system is set up, services start"),
    (r"measured-boot: pcr ", "the guest prints its registers"),
    (r"Reached target .*multi-user\.target", "every service was started"),
)
"""Console lines that show a boot's progress, in their order, and what each means."""
VERDICT_STYLES: Final = {
    Verdict.MATCH: "green",
    Verdict.NOT_PROMISED: "dim",
}
SHORT_HEX: Final = 12
OTHER_COLUMNS: Final = 61
"""Width of the event table without the column that is cut to fit."""
FILE_WIDTH: Final = 110
"""Columns when the output is no terminal."""


class Progress:
    """Prints a line per stage with the time since start, and turns a wheel on a terminal."""

    def __init__(self, *, verbose: bool) -> None:
        self._console = Console(stderr=True)
        self._verbose = verbose
        self._started = time.monotonic()
        self._stages = list(STAGES)
        self._status = self._console.status("")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def say(self, text: str) -> None:
        """Print what happens now."""
        seconds = time.monotonic() - self._started
        self._console.print(f"[cyan]{seconds:6.1f} s[/]  {escape(text)}", highlight=False)
        self._status.update(escape(text))

    def take(self, line: str) -> None:
        """Take a line of the guest's console."""
        if self._verbose:
            self._console.print(f"          [dim]{escape(line)}[/]", highlight=False)
        for position, (pattern, meaning) in enumerate(self._stages):
            if re.search(pattern, line):
                self._stages = self._stages[position + 1 :]
                self.say(meaning)
                return


def print_verdict(comparison: Comparison, live: Sequence[LiveRow], *, seconds: float) -> None:
    """Print every event, then what it amounts to per register, then the verdict."""
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    console.print(_event_table(comparison, console.width - OTHER_COLUMNS))
    console.print(_register_table(comparison, live))
    for row in comparison.mismatches:
        cause = f": {row.cause.text}; {row.cause.hint}" if row.cause else ""
        text = f"{row.register} {_what(row)}: {row.verdict}{cause}"
        console.print(f"[red]✗ {escape(text)}[/]")
    promised = sum(row.verdict is not Verdict.NOT_PROMISED for row in comparison.rows)
    if comparison.matches and not any(row.is_mismatch for row in live):
        console.print(
            f"[green]✓ all {promised} promised events and the registers read in the guest"
            f" are as published[/] ({seconds:.0f} s)"
        )
    else:
        console.print(f"[red]✗ this is not the published image[/] ({seconds:.0f} s)")


def print_answers(answers: Sequence[Answer]) -> None:
    """Print what a third party got from the image, and from a tampered copy of it."""
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH, soft_wrap=True)
    titles = {
        0: "A third party asks the image for its certificate, and for proof",
        1: "The same question to a copy of the image with another kernel command line",
    }
    for answer in answers:
        console.print(f"\n[bold]{titles[answer.wanted]}[/]\n[dim]$ {escape(answer.command)}[/]")
        console.print(escape(answer.certificate + answer.said), highlight=False)
        words = {0: "taken", 1: "refused"}.get(answer.status, "not answered")
        sign = "[green]✓" if answer.as_wanted else "[red]✗"
        console.print(f"{sign} {words} (exit {answer.status})[/]")


def print_orders(result: OrderResult) -> None:
    """Print where the searcher's bundle arrived, and what became of its duplicate."""
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    table = Table(title="\nA searcher's signed bundle, sent to the machine alone")
    for heading in ("arrived at", "times", "ms after it was sent"):
        table.add_column(heading, justify="left" if heading == "arrived at" else "right")
    for arrival in result.arrivals:
        table.add_row(arrival.place, str(arrival.times), f"{arrival.milliseconds:.0f}")
    table.add_row("answer to the searcher", "", f"{result.answer_milliseconds:.0f}", style="dim")
    console.print(table)
    console.print(f"bundle {result.bundle_hash}", highlight=False)
    if result.as_wanted:
        console.print(
            "[green]✓ arrived exactly once everywhere; sent again, it was answered the same"
            " and went nowhere[/]"
        )
    for problem in result.problems:
        console.print(f"[red]✗ {escape(problem)}[/]")


def _event_table(comparison: Comparison, width: int) -> Table:
    table = Table(title="What the boot measured, event by event")
    table.add_column("register", no_wrap=True, min_width=8)
    table.add_column("what it covers", no_wrap=True, overflow="ellipsis", max_width=width)
    for heading in ("published", "measured", "verdict"):
        table.add_column(heading, no_wrap=True, min_width=SHORT_HEX)
    bank = comparison.banks[0]
    for row in comparison.rows:
        style = VERDICT_STYLES.get(row.verdict, "bold red")
        wanted = row.expected.digests.of(bank).hex() if row.expected else ""
        logged = row.actual.digests[bank].hex() if row.actual else ""
        cells = (wanted[:SHORT_HEX], logged[:SHORT_HEX], row.verdict.value)
        table.add_row(row.register.value, escape(_what(row)), *cells, style=style)
    return table


def _register_table(comparison: Comparison, live: Sequence[LiveRow]) -> Table:
    read = {(row.register, row.bank): row for row in live}
    table = Table(title="Registers: published, replayed from the log, read in the guest")
    for heading in ("register", *(f"{bank} (start)" for bank in BANKS), "log", "guest"):
        table.add_column(heading)
    for register in dict.fromkeys(result.register for result in comparison.registers):
        results = [result for result in comparison.registers if result.register is register]
        if not any(row.register is register for row in comparison.rows):
            continue  # nothing is extended there
        rows = [read.get((result.register, result.bank)) for result in results]
        digests = {result.bank: result.actual.hex()[: 2 * SHORT_HEX] for result in results}
        table.add_row(
            register.value,
            *(digests.get(bank, "") for bank in BANKS),
            _mark("as published", all(result.matches for result in results)),
            _mark("as logged", all(row and not row.is_mismatch for row in rows)),
        )
    return table


def _mark(text: str, good: bool) -> str:
    return f"[green]{text}[/]" if good else "[bold red]DIFFERENT[/]"


def _what(row: Row) -> str:
    if row.expected is not None:
        return row.expected.description
    return f"{row.actual.type_name} (the machine, not the image)" if row.actual else ""
