# SPDX-License-Identifier: MIT
"""One measured figure, and the table and the JSON that show all of them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    value: float | None
    """None where it could not be taken."""
    unit: str
    aim: float | None = None
    """What the project wants it not to exceed."""
    note: str = ""

    def row(self) -> tuple[str, str, str, str]:
        """Name, value, aim, note."""
        digits = 2 if not self.unit else 1  # of ratios the second one matters
        value = "-" if self.value is None else f"{self.value:.{digits}f} {self.unit}".strip()
        aim = "" if self.aim is None else f"<= {self.aim:g}"
        missed = self.aim is not None and self.value is not None and self.value > self.aim
        return self.name, value, aim, ("MISSED " if missed else "") + self.note


def take(
    name: str, unit: str, measure: Callable[[], float], *, aim: float | None = None, note: str = ""
) -> Figure:
    """Measure, or say why it cannot be measured: one figure must not cost the others."""
    try:
        return Figure(name, measure(), unit, aim, note)
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return Figure(name, None, unit, aim, f"not measured: {reason[0]}")


def ratio(name: str, ours: Figure, theirs: Figure, *, aim: float | None = None) -> Figure:
    """Ours divided by theirs; below 1 is in our favour."""
    if ours.value is None or not theirs.value:
        return Figure(name, None, "", aim, "one side is missing")
    return Figure(name, ours.value / theirs.value, "", aim)


def ratio_of_rates(name: str, ours: Figure, theirs: Figure, *, aim: float | None = None) -> Figure:
    """The same of figures of which more is better: the time that each needs for one."""
    return ratio(name, theirs, ours, aim=aim)


def machine() -> str:
    """What the figures were taken on; another machine gives others."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} processors, load {load:.1f} at the start"


def as_table(figures: Sequence[Figure], taken_on: str) -> str:
    """Aligned columns."""
    rows = [("figure", "measured", "aim", "note"), *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:{widths[0]}}  {value:>{widths[1]}}  {aim:{widths[2]}}  {note}".rstrip()
        for name, value, aim, note in rows
    ]
    return "\n".join([taken_on, "", *lines])


def as_json(figures: Sequence[Figure], taken_on: str) -> str:
    """The same for machines."""
    document = {"machine": taken_on, "figures": [asdict(figure) for figure in figures]}
    return json.dumps(document, indent=1)
