# SPDX-License-Identifier: MIT
"""The archive on a server: the same SQL, rows and answers, through ClickHouse's own client.

The server is a stand-in (tests/support/clickhouse_http.py): the real engine behind our rendering of
its HTTP interface. What only a real server or cluster does is not tested.
"""

import json
import subprocess
import sys

import pytest

from buildernet.archive.clickhouse_server import ServerAddress, ServerEngine
from buildernet.archive.errors import EngineError, EngineUnavailableError
from buildernet.archive.migrations import migrate
from buildernet.archive.retention import apply_retention
from tests.support.archive_process import archive, make_batch, make_record, run_cli
from tests.support.clickhouse_http import PASSWORD
from tests.support.parquet import count_parquet

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "tests.support.clickhouse_http", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield f"http://archive@127.0.0.1:{port}/orders"
        finally:
            server.kill()


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
