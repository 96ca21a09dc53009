# SPDX-License-Identifier: MIT
"""Memory and time of the receiver's memory of orders at one million keys.

Beside it stands an OrderedDict of the same keys and times that drops its oldest, which is the
simplest thing that could do the work. Each is filled in a process of its own, and its content
exchanged, so that dropping is measured too; the longest single step, in processor time, is what an
order can wait for it.
"""

import multiprocessing
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import psutil

from buildernet.orderflow_proxy.dedup import SeenKeys
from tests.bench.figures import Figure, ratio

KEYS: Final = 1_048_576
TURNS: Final = 2
"""Times that the whole content is exchanged."""

_OURS: Final = "1 M remembered orders"
_REFERENCE: Final = "OrderedDict"
_UNITS: Final = (("memory", "MiB"), ("an order", "us"), ("longest step", "ms"))


def measure_memory_of_orders() -> Iterator[Figure]:
    """What both cost, and the ratios."""
    taken = {}
    for name, fill in ((_OURS, _fill_ours), (_REFERENCE, _fill_reference)):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            values = alone.submit(fill).result()
        for (kind, unit), value in zip(_UNITS, values, strict=True):
            taken[name, kind] = Figure(f"{name}: {kind}", value, unit)
            yield taken[name, kind]
    for kind, _ in _UNITS:
        yield ratio(
            f"{_OURS}: {kind} / {_REFERENCE}'s", taken[_OURS, kind], taken[_REFERENCE, kind]
        )


def _fill_ours() -> tuple[float, ...]:
    seen = SeenKeys(capacity=KEYS, ttl_s=3600)

    def take(key: bytes) -> None:
        if key not in seen:
            seen.add(key)

    return _fill(take)


def _fill_reference() -> tuple[float, ...]:
    seen: OrderedDict[bytes, float] = OrderedDict()

    def take(key: bytes) -> None:
        if key not in seen:
            if len(seen) == KEYS:
                seen.popitem(last=False)
            seen[key] = time.monotonic()

    return _fill(take)


def _fill(take: Callable[[bytes], None]) -> tuple[float, ...]:
    process = psutil.Process()
    before = process.memory_info().rss
    longest = 0
    started = time.process_time_ns()
    orders = KEYS * (1 + TURNS)
    for _ in range(orders):
        key = os.urandom(16)
        step = time.thread_time_ns()
        take(key)
        longest = max(longest, time.thread_time_ns() - step)
    spent = time.process_time_ns() - started
    return (process.memory_info().rss - before) / 2**20, spent / 1000 / orders, longest / 1e6
