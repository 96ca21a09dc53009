# SPDX-License-Identifier: MIT
"""Rows per second of the archive, beside chDB's own bulk insertion of the same rows.

The archive runs as a process and gets signed batches
of bundles over HTTP, with one transaction each and bodies near the public median (3 kB); it
verifies, decodes, recovers senders, stores with fsync and acknowledges. The reference is the engine
alone: the finished rows, in one insertion per batch, without HTTP, signatures or transactions.
"""

import http.client
import json
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
from ethereum_types.bytes import Bytes
from ethereum_types.numeric import U256

from buildernet.archive.embedded import EmbeddedEngine
from buildernet.archive.migrations import migrate
from buildernet.archive.rows import RowMaker
from buildernet.archive.tables import BUNDLES
from buildernet.ethereum.signature import sign_body
from buildernet.net.archive_stream import RECORDS_PATH, OrderRecord, parse_batch
from tests.bench.figures import Figure, ratio_of_rates
from tests.support.archive_process import NODE, archive, make_batch, make_record
from tests.support.orders import make_transaction

ROWS: Final = 20_000
BATCH: Final = 2_000
DATA_BYTES: Final = 1_300
"""Of call data: a parameter of 3 kB."""

_ENGINE_MEMORY: Final = 4 << 30


def make_bodies() -> list[bytes]:
    """The batches, with a transaction of its own in each record."""
    return [
        make_batch([_record(number) for number in range(first, first + BATCH)], first=first)
        for first in range(0, ROWS, BATCH)
    ]


def _record(number: int) -> OrderRecord:
    data = Bytes(random.Random(number).randbytes(DATA_BYTES))
    raw = make_transaction(2, nonce=U256(number), data=data)
    params = json.dumps({"txs": ["0x" + raw.hex()], "blockNumber": "0x10"}).encode()
    return make_record(number, params=params)


def through_the_archive(bodies: list[bytes], folder: Path) -> tuple[float, float, float]:
    """Return rows per second, rows per processor second, and the process's memory in MiB."""
    with archive(folder) as running:
        process = psutil.Process(running.program.pid)
        signed = [(body, sign_body(NODE, body)) for body in bodies]
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)
        before = sum(process.cpu_times()[:2])
        started = time.perf_counter()
        for body, signature in signed:
            connection.request("POST", RECORDS_PATH, body, {"X-BuilderNet-Signature": signature})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(answer.read().decode())
            answer.read()
        seconds = time.perf_counter() - started
        spent = sum(process.cpu_times()[:2]) - before
        connection.close()
        return ROWS / seconds, ROWS / spent, process.memory_info().rss / 2**20


def engine_alone(bodies: list[bytes], folder: Path) -> tuple[float, float]:
    """Return rows per second and per processor second of insertions alone."""
    maker = RowMaker()
    prepared = []
    for body in bodies:
        batch = parse_batch(body)
        rows = maker.rows("node_1", batch.stream, batch.first, batch.records)
        prepared.append(b"".join(data for _, data in rows))
    engine = EmbeddedEngine(folder, max_memory_bytes=_ENGINE_MEMORY)
    migrate(engine)
    before = _spent()
    started = time.perf_counter()
    for data in prepared:
        engine.insert(BUNDLES.name, BUNDLES.names, data)
    seconds, spent = time.perf_counter() - started, _spent() - before
    engine.close()
    return ROWS / seconds, ROWS / spent


def measure_archive(work: Path) -> Iterator[Figure]:
    """Rates of both, and the ratios of the times."""
    bodies = make_bodies()
    rate, per_cpu, memory = through_the_archive(bodies, work / "ours")
    ours = Figure("archive: bundles stored", rate, "rows/s", note="one sender, 3 kB, fsync")
    ours_cpu = Figure("archive: bundles stored", per_cpu, "rows/cpu-s")
    yield from (ours, ours_cpu, Figure("archive: memory after the load", memory, "MiB"))
    rate, per_cpu = engine_alone(bodies, work / "alone")
    theirs = Figure("chDB alone: the same rows", rate, "rows/s")
    theirs_cpu = Figure("chDB alone: the same rows", per_cpu, "rows/cpu-s")
    yield from (theirs, theirs_cpu)
    yield ratio_of_rates("time per row / chDB alone", ours, theirs)
    yield ratio_of_rates("processor time per row / chDB alone", ours_cpu, theirs_cpu)


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
