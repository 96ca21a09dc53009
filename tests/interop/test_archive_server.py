# SPDX-License-Identifier: MIT
"""The archive on a server: the same SQL, rows and answers, through ClickHouse's own client.

The server is a stand-in (tests/support/clickhouse_http.py): the real engine behind our rendering of
its HTTP interface. What only a real server or cluster does is not tested.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from buildernet.archive.clickhouse_server import ServerAddress, ServerEngine
from buildernet.archive.errors import EngineError, EngineUnavailableError
from buildernet.archive.migrations import load_migrations, migrate
from buildernet.archive.retention import apply_retention
from tests.support.archive_process import archive, make_batch, make_record, run_cli
from tests.support.clickhouse_http import PASSWORD
from tests.support.parquet import count_parquet

pytestmark = pytest.mark.interop


@contextmanager
def serving(folder, port=0):
    """A stand-in server, killed at the end; yields its port."""
    command = [sys.executable, "-m", "tests.support.clickhouse_http", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as port:
        yield f"http://archive@127.0.0.1:{port}/orders"


def test_an_archive_on_a_server_stores_once_answers_and_exports(url, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    body = make_batch([make_record(number) for number in range(50)])
    with archive(tmp_path / "a", database_url=url, database_password_file=str(secret)) as running:
        for _ in range(2):
            status, _, answer = running.send(body)
            assert (status, json.loads(answer)) == (200, {"stored": 50})
        rows = running.rows(limit="20", raw="1")
        assert [row["seq"] for row in rows] == list(range(50))
        assert rows[7]["tx_raw"] == ["0x0200000007"]
        (one,) = running.rows(hash="0x" + (9).to_bytes(32).hex())
        assert one["seq"] == 9
        out = tmp_path / "o.parquet"
        done = run_cli("export", "--url", running.operator_url, "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert count_parquet(out) == 50
    assert not (tmp_path / "a" / "data").exists(), "nothing is embedded"


def test_a_server_killed_under_load_has_every_record_once(tmp_path):
    """While it is away nodes are told to wait; what was answered with 200 is there afterwards."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    batches = [
        make_batch([make_record(first + number) for number in range(20)], first=first)
        for first in range(0, 400, 20)
    ]
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        port = server.enter_context(serving(tmp_path / "server"))
        address = f"http://archive@127.0.0.1:{port}/orders"
        running = stack.enter_context(
            archive(tmp_path / "a", database_url=address, database_password_file=str(secret))
        )
        for batch in batches[:5]:
            assert running.send(batch)[0] == 200
        with ThreadPoolExecutor(1) as killing:
            done = killing.submit(server.close)  # amid the next insertions
            assert {running.send(batch)[0] for batch in batches[5:]} <= {200, 503}
            done.result()
        status, headers, _ = running.send(batches[-1])
        assert status == 503
        assert headers["Retry-After"]
        server.enter_context(serving(tmp_path / "server", port))
        for batch in batches:  # as a node does: from what was not acknowledged on, or before it
            assert running.send(batch)[0] == 200
        assert [row["seq"] for row in running.rows(limit="1000")] == list(range(400))


def test_a_cluster_gets_statements_that_the_engine_can_read(url):
    """Carrying them out needs a cluster, which there is none of here."""
    engine = ServerEngine(ServerAddress.parse(url), password=PASSWORD)
    for migration in load_migrations():
        for statement in migration.statements(cluster="main"):
            text = engine.query("SELECT formatQuery({text:String}) AS t", {"text": statement})
            read = json.loads(text)["t"]
            assert "ON CLUSTER main" in read
            assert "ENGINE = ReplicatedReplacingMergeTree" in read
    engine.close()


def test_retention_is_a_property_of_the_tables(url):
    engine = ServerEngine(ServerAddress.parse(url), password=PASSWORD)
    migrate(engine)
    shown = (
        "SELECT name FROM system.tables WHERE database = 'orders' AND engine_full LIKE '% TTL %'"
    )
    for months, count in ((3, 3), (3, 3), (6, 3), (0, 0)):
        apply_retention(engine, months=months)
        assert len(engine.query(shown, {}).splitlines()) == count
    engine.close()


def test_a_wrong_password_and_a_wrong_statement_are_our_errors(url):
    with pytest.raises(EngineUnavailableError):
        ServerEngine(ServerAddress.parse(url), password="wrong")
    engine = ServerEngine(ServerAddress.parse(url), password=PASSWORD)
    with pytest.raises(EngineError):
        engine.query("SELECT nothing FROM nowhere", {})
    with pytest.raises(EngineError):
        engine.insert("nowhere", ("a",), b"\x00")
    engine.close()


def test_a_server_that_is_away_ends_the_start_with_a_reason(tmp_path):
    done = run_cli("serve", "--database-url", "http://archive@127.0.0.1:9/orders")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
