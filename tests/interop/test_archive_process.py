# SPDX-License-Identifier: MIT
"""The archive as a process on the real engine: every record once, whatever happens."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from buildernet.ethereum.signature import sign_body
from buildernet.net.archive_stream import BidRecord, encode_record
from buildernet.orderflow_proxy.archive_sender import ArchiveSender, OrderEventsForm, RecordsForm
from buildernet.orderflow_proxy.spool import Spool
from tests.support.archive_process import (
    NODE,
    NODE_NAME,
    NOW_US,
    STRANGER,
    archive,
    make_batch,
    make_receipt,
    make_record,
    run_cli,
)
from tests.support.parquet import count_parquet
from tests.support.small_disk import fill, small_disk

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with archive(tmp_path_factory.mktemp("archive")) as running:
        yield running


def test_a_batch_is_stored_once_however_often_it_comes(shared):
    body = make_batch([make_record(1), make_record(2), make_receipt(3)], stream=b"once" * 4)
    for _ in range(3):
        status, _, answer = shared.send(body)
        assert (status, json.loads(answer)) == (200, {"stored": 3})
    (row,) = shared.rows(hash="0x" + (1).to_bytes(32).hex(), raw="1")
    assert row["node"] == NODE_NAME
    assert (row["block_number"], row["min_timestamp"]) == (16, 5)
    assert row["received_at"] == NOW_US + 1
    assert row["tx_raw"] == ["0x0200000001"]
    assert json.loads(row["rest"]) == {"odd": [1]}
    (receipt,) = shared.rows("bundle_receipts")
    assert (receipt["src_builder_name"], receipt["dst_builder_name"]) == ("node_2", NODE_NAME)


def test_the_same_record_of_another_stream_is_another_row(shared):
    record = make_record(77)
    for stream in (b"a" * 16, b"b" * 16):
        assert shared.send(make_batch([record], stream=stream))[0] == 200
    assert len(shared.rows(hash="0x" + (77).to_bytes(32).hex())) == 2


def test_a_stranger_and_a_changed_body_are_refused(shared):
    body = make_batch([make_record(666)])
    assert shared.send(body, key=STRANGER)[0] == 403
    signature = sign_body(NODE, body)
    path = "/api/v1/records"
    assert shared.request("POST", path, body + b"x", X_BuilderNet_Signature=signature)[0] == 403
    assert shared.request("POST", path, body)[0] == 403
    assert shared.rows(hash="0x" + (666).to_bytes(32).hex()) == []


def test_bids_are_stored(shared):
    bid = BidRecord(
        NOW_US, 17, 99, b"\xbb" * 32, b"\xaa" * 32, b"\xcc" * 48, (10**21).to_bytes(32), 5, 6, "r"
    )
    assert shared.send(make_batch([bid], stream=b"bids" * 4))[0] == 200
    (row,) = shared.rows("bids", block="17")
    assert (row["value_wei"], row["builder_key"]) == (str(10**21), "0x" + "cc" * 48)


def test_order_events_of_the_reference_are_stored_once(shared):
    params = {
        "txs": ["0x01", "0x02"],
        "blockNumber": "0x30d40",
        "signingAddress": "0x" + "44" * 20,
        "replacementUuid": "5b34ac19-0d19-4e94-ab7e-4b8f5b2b1a3a",
        "replacementNonce": 7,
    }
    events = [{"eth_sendBundle": {"params": params, "metadata": {"receivedAt": 1_790_000_000_123}}}]
    call = {"method": "flashbots_newOrderEvents", "params": [{"orderEvents": events}]}
    body = json.dumps({**call, "id": 0, "jsonrpc": "2.0"}).encode()
    for _ in range(2):
        status, _, answer = shared.request(
            "POST", "/", body, X_Flashbots_Signature=sign_body(NODE, body)
        )
        assert (status, json.loads(answer)) == (200, {"jsonrpc": "2.0", "id": 0, "result": None})
    (row,) = shared.rows(signer="0x" + "44" * 20)
    assert row["block_number"] == 200_000
    assert row["received_at"] == 1_790_000_000_123_000
    assert row["replacement_nonce"] == 7
    assert len(row["tx_hash"]) == 2


def test_pages_join_without_gap_or_repetition(shared):
    records = [make_record(1000 + n, at_us=NOW_US + n % 3, signer=b"\x77" * 20) for n in range(25)]
    assert shared.send(make_batch(records, stream=b"page" * 4))[0] == 200
    rows = shared.rows(signer="0x" + "77" * 20, limit="7")
    assert sorted(row["seq"] for row in rows) == list(range(25))
    assert [row["received_at"] for row in rows] == sorted(row["received_at"] for row in rows)


def test_wild_times_are_stored_where_they_say(shared):
    """A node whose clock jumped: 1970, 2255 and today in one batch."""
    times = (0, 9_000_000_000_000_000, NOW_US)
    records = [make_record(0, at_us=at, signer=b"\x99" * 20) for at in times]
    assert shared.send(make_batch(records, stream=b"time" * 4))[0] == 200
    found = [row["received_at"] for row in shared.rows(signer="0x" + "99" * 20)]
    assert found == sorted(times)


def test_the_command_asks_and_exports(shared, tmp_path):
    assert shared.send(make_batch([make_record(4242)], stream=b"cmd!" * 4))[0] == 200
    asked = run_cli(
        "query", "--url", shared.operator_url, "--hash", "0x" + (4242).to_bytes(32).hex(), "--json"
    )
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["seq"] == 0
    out = tmp_path / "rows.parquet"
    done = run_cli("export", "--url", shared.operator_url, "--out", str(out), "--since", "soon")
    assert done.returncode == 1
    assert "since is no time" in done.stderr
    assert not out.exists()
    done = run_cli("export", "--url", shared.operator_url, "--out", str(tmp_path))
    assert done.returncode == 1
    assert "is a folder" in done.stderr
    done = run_cli("query", "--url", shared.url)
    assert "is it the operator's address?" in done.stderr


def test_an_export_of_many_blocks_is_one_file_that_can_be_read(shared, tmp_path):
    total = 30_000
    for first in range(0, total, 10_000):
        receipts = [make_receipt(100_000 + first + number) for number in range(10_000)]
        assert shared.send(make_batch(receipts, first=first, stream=b"many" * 4))[0] == 200
    since = f"--since={(NOW_US + 100_000) / 1e6:.0f}"
    table = ["export", "--url", shared.operator_url, "--table", "bundle_receipts"]
    for out, name, count in (
        (tmp_path / "many.parquet", NODE_NAME, total),
        (tmp_path / "none.parquet", "nobody", 0),
    ):
        done = run_cli(*table, "--out", str(out), "--node", name, since)
        assert done.returncode == 0, done.stderr
        assert count_parquet(out, "uniqExact(seq)") == count


async def test_an_export_that_nobody_reads_any_more_ends(shared):
    """And the next one finds the engine free."""
    url = f"{shared.operator_url}/api/v1/bundle_receipts/export"
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(url) as answer:
                assert answer.status in (200, 503)
                answer.close()

        async def export() -> bool:
            async with session.get(url) as answer:
                return answer.status == 200 and (await answer.read())[-4:] == b"PAR1"

        async with asyncio.timeout(30):
            while not await export():
                pass


def test_a_second_process_on_the_same_folder_ends_with_a_hint(shared):
    anywhere = ("--listen-addr", "127.0.0.1:0", "--operator-listen-addr", "127.0.0.1:0")
    done = run_cli(*shared.program.arguments, *anywhere)
    assert done.returncode == 1
    assert "another archive may have it open" in done.stderr


@asynccontextmanager
async def sending(spool: Spool, url: str, form=None):
    """What a proxy runs: everything in the spool goes to the archive until it is acknowledged."""
    fresh = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        sender = ArchiveSender(
            spool,
            url=url,
            form=form or RecordsForm(max_records=200, linger_s=0.01),
            key=NODE,
            session=session,
            fresh=fresh,
            registry=CollectorRegistry(),
        )
        task = asyncio.create_task(sender.run())
        try:
            yield sender, fresh
        finally:
            task.cancel()


@pytest.mark.slow
async def test_an_archive_killed_under_load_has_every_record_once(tmp_path):
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30)
    total, burst = 6000, 500
    with archive(tmp_path / "archive") as running:
        async with sending(spool, running.url) as (sender, fresh):
            for start in range(0, total, burst):
                for number in range(start, start + burst):
                    spool.append(encode_record(make_record(number)))
                fresh.set()
                if start in (1000, 3000, 4500):
                    await _until(lambda: spool.waiting <= burst // 2)  # amid a delivery
                    await asyncio.to_thread(running.program.kill)
                    await asyncio.to_thread(running.program.start)
            await sender.drain(60)
            assert spool.waiting == 0
        rows = await asyncio.to_thread(running.rows, limit="1000")
    assert sorted(row["seq"] for row in rows) == list(range(total))
    spool.close()


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    with small_disk(tmp_path / "disk", size=24 << 20) as disk:
        yield disk


@pytest.mark.slow
async def test_a_full_disk_is_told_and_nothing_is_missing_afterwards(tmp_path, disk):
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30)
    with archive(tmp_path / "archive", data_dir=str(disk / "data")) as running:
        assert running.send(make_batch([make_record(0)], stream=b"ok" * 8))[0] == 200
        fill(disk / "filler")
        large = [make_record(n, params=_incompressible(n)) for n in range(300)]
        status, headers, answer = running.send(make_batch(large, stream=b"no" * 8))
        assert (status, headers.get("Retry-After")) == (503, "30"), answer
        assert b"no space left" in answer
        assert running.request("GET", "/readyz")[0] == 503
        for number in range(300):
            spool.append(encode_record(make_record(number, params=_incompressible(number))))
        async with sending(spool, running.url, RecordsForm()) as (sender, _):
            await sender.drain(1)
            assert spool.waiting == 300
            (disk / "filler").unlink()
        async with sending(spool, running.url) as (sender, _):
            await sender.drain(30)
        assert spool.waiting == 0
        rows = [row for row in running.rows(limit="1000") if row["stream"] != _uuid(b"ok" * 8)]
        assert sorted(row["seq"] for row in rows) == list(range(300))
        assert running.request("GET", "/readyz")[0] == 200
    spool.close()


async def _until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  (a spool has no event)
            await asyncio.sleep(0.005)


def _incompressible(number: int) -> bytes:
    text = random.Random(number).randbytes(2000).hex()
    return json.dumps({"txs": [f"0x{text}"]}).encode()


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


async def test_order_events_reach_an_archive_that_knows_only_them(tmp_path, shared):
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30)
    raw = make_record(
        5, method="eth_sendRawTransaction", kind="transaction", params=b'"0x0155"', head_block=None
    )
    spool.append(encode_record(make_record(31337, signer=b"\x55" * 20)))
    spool.append(encode_record(make_receipt(1)))
    spool.append(encode_record(raw))
    form = OrderEventsForm(lambda: 0x555555, linger_s=0.01)
    async with sending(spool, shared.url, form) as (sender, _):
        await sender.drain(30)
    assert spool.waiting == 0
    (row,) = await asyncio.to_thread(shared.rows, block=str(0x555555 + 5), raw="1")
    assert (row["kind"], row["method"]) == ("mev_bundle", "mev_sendBundle")
    spool.close()


_APPENDING = """
import sys
from pathlib import Path
from buildernet.net.archive_stream import encode_record
from buildernet.orderflow_proxy.spool import Spool
from tests.support.archive_process import make_record
spool = Spool(Path(sys.argv[1]), max_bytes=1 << 30, segment_bytes=20_000)
for number in range(1_000_000):
    spool.append(encode_record(make_record(number)))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_a_proxy_killed_while_appending_keeps_all_it_said_it_kept(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", _APPENDING, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = -1
        started = time.monotonic()
        for line in process.stdout:
            told = int(line)
            if told >= 2000 or time.monotonic() - started > 30:
                break
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
        told = max([told, *(int(line) for line in rest[:-1] if line)])
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30)
    found = 0
    while (batch := spool.read(max_records=1000, max_bytes=1 << 20)) is not None:
        assert batch.first == found
        found += len(batch.records)
        spool.acknowledge(batch.end)
    assert found in (told + 1, told + 2), "the last one may have been kept but not told"
    spool.close()
