# SPDX-License-Identifier: MIT
"""Line up what was expected with what was logged, so that one change shows as one row.

A plain comparison by position would report every event after an inserted one. This is an edit
distance over the events of one register: equal digests cost nothing, another digest under the
same label costs one, an event on one side alone costs one.
"""

from collections.abc import Sequence
from typing import Final

from buildernet.attestation.event_log import Event
from buildernet.attestation.registers import Bank
from buildernet.measure.events import ExpectedEvent, label_of

MAX_CELLS: Final = 1 << 19
"""128 expected by 4096 logged events: the largest table worth building."""

Pair = tuple[ExpectedEvent | None, Event | None]
"""At least one side is present."""


def digests_equal(expected: ExpectedEvent, actual: Event, banks: Sequence[Bank]) -> bool:
    """Compare in every bank; an event that lacks one of them is different."""
    return all(actual.digests.get(bank) == expected.digests.of(bank) for bank in banks)


def align(
    expected: Sequence[ExpectedEvent], actual: Sequence[Event], banks: Sequence[Bank]
) -> list[Pair]:
    """Return pairs in order with the fewest differences.

    Events never pair up across labels or types. Beyond `MAX_CELLS` the tail is not lined up:
    everything there is reported one-sided.
    """
    limit = MAX_CELLS // (len(expected) + 1)
    head, tail = actual[:limit], actual[limit:]
    costs = _costs(expected, head, banks)
    pairs: list[Pair] = []
    row, column = 0, 0
    while row < len(expected) or column < len(head):
        here = costs[row][column]
        if row < len(expected) and column < len(head):
            step = _pair_cost(expected[row], head[column], banks)
            if step is not None and here == step + costs[row + 1][column + 1]:
                pairs.append((expected[row], head[column]))
                row, column = row + 1, column + 1
                continue
        if column < len(head) and here == 1 + costs[row][column + 1]:
            pairs.append((None, head[column]))
            column += 1
        else:
            pairs.append((expected[row], None))
            row += 1
    return pairs + [(None, event) for event in tail]


def _pair_cost(expected: ExpectedEvent, actual: Event, banks: Sequence[Bank]) -> int | None:
    if expected.type != actual.type or expected.label != label_of(actual):
        return None
    return 0 if digests_equal(expected, actual, banks) else 1


def _costs(
    expected: Sequence[ExpectedEvent], actual: Sequence[Event], banks: Sequence[Bank]
) -> list[list[int]]:
    """costs[i][j]: the least number of differences between expected[i:] and actual[j:]."""
    width = len(actual)
    costs = [list(range(width, -1, -1))]
    for wanted in reversed(expected):
        below = costs[-1]
        line = [0] * (width + 1)
        line[width] = below[width] + 1
        for column in range(width - 1, -1, -1):
            best = 1 + min(below[column], line[column + 1])
            step = _pair_cost(wanted, actual[column], banks)
            if step is not None:
                best = min(best, step + below[column + 1])
            line[column] = best
        costs.append(line)
    return costs[::-1]
