# SPDX-License-Identifier: MIT
"""Memory and time of the receiver's memory of orders at one million keys.

`python -m tests.bench.dedup` prints JSON: bytes per key, processor time per look-up and addition,
and the longest single step, in processor time, which is what an order can wait for it.
"""

import json
import os
import sys
import time
from typing import Final

import psutil

from buildernet.orderflow_proxy.dedup import SeenKeys

KEYS: Final = 1_048_576
TURNS: Final = 2
"""Times that the whole content is exchanged, so that dropping is measured too."""


def measure(keys: int = KEYS) -> dict[str, float]:
    """Fill a memory and exchange its content."""
    process = psutil.Process()
    before = process.memory_info().rss
    seen = SeenKeys(capacity=keys, ttl_s=3600)
    longest = 0
    started = time.process_time_ns()
    for _ in range(keys * (1 + TURNS)):
        key = os.urandom(16)
        step = time.thread_time_ns()
        if key not in seen:
            seen.add(key)
        longest = max(longest, time.thread_time_ns() - step)
    spent = time.process_time_ns() - started
    return {
        "keys": len(seen),
        "bytes_per_key": (process.memory_info().rss - before) / len(seen),
        "mib": (process.memory_info().rss - before) / 2**20,
        "us_per_order": spent / 1000 / (keys * (1 + TURNS)),
        "longest_step_ms": longest / 1e6,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=1) + "\n")
