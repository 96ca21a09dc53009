# SPDX-License-Identifier: MIT
"""Who else sends to the archive, and how: over TLS from afar, and a builder with its bids."""

import json
import secrets

import msgspec
import pytest

from buildernet.ethereum.signature import SigningKey
from tests.support.archive_process import (
    NODE_NAME,
    NOW_US,
    ServerTls,
    archive,
    make_batch,
    make_record,
    run_cli,
)
from tests.support.orderflow_nodes import make_certificate
from tests.support.parquet import count_parquet

pytestmark = pytest.mark.interop

BUILDER = SigningKey(b"\x31" * 32)


def test_over_tls_records_are_taken_and_questions_answered(tmp_path):
    made = make_certificate()
    tls = ServerTls(tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "token")
    for path, text in ((tls.certificate, made.pem), (tls.key, made.key_pem)):
        path.write_text(text)
    tls.token.write_text(secrets.token_hex())
    with archive(tmp_path / "archive", tls=tls) as running:
        assert running.send(make_batch([make_record(1)]))[0] == 200
        here = ["--url", running.operator_url, "--token-file", str(tls.token)]
        trust = ["--authority-file", str(tls.certificate)]
        asked = run_cli("query", *here, *trust, "--json")
        assert json.loads(asked.stdout)["seq"] == 0, asked.stderr
        out = tmp_path / "o.parquet"
        assert run_cli("export", *here, *trust, "--out", str(out)).returncode == 0
        assert count_parquet(out) == 1
        unknown = run_cli("query", *here)
        assert unknown.returncode == 1
        assert "self-signed certificate" in unknown.stderr
        stranger = run_cli("query", "--url", running.operator_url, *trust)
        assert "needs the operator's token" in stranger.stderr


def bid(block: int, value_wei: int) -> dict[str, object]:
    """A bid as the document describes it, without any of our own code."""
    return {
        "type": "bid",
        "received_at_us": NOW_US + block,
        "block": block,
        "slot": block + 1000,
        "block_hash": block.to_bytes(32, "big"),
        "parent_hash": (block - 1).to_bytes(32, "big"),
        "builder_key": b"\xcc" * 48,
        "value_wei": value_wei.to_bytes(32, "big"),
        "transactions": 150,
        "gas_used": 30_000_000,
        "relay": "a-relay",
    }


def test_a_builder_sends_its_bids_beside_its_node(tmp_path):
    """With a key and a stream of its own; what it sends again after a lost answer is one row."""
    stream = secrets.token_bytes(16)
    batches = [(0, [bid(7, 10**18), bid(7, 2 * 10**18)]), (2, [bid(8, 10**27)])]
    with archive(tmp_path, senders={NODE_NAME: BUILDER}) as running:
        for first, bids in (*batches, batches[0]):
            body = msgspec.msgpack.encode({"stream": stream, "first": first, "records": bids})
            status, _, answer = running.send(body, key=BUILDER)
            assert (status, json.loads(answer)) == (200, {"stored": len(bids)})
        rows = running.rows("bids")
        assert [(row["seq"], row["value_wei"]) for row in rows] == [
            (0, str(10**18)),
            (1, str(2 * 10**18)),
            (2, str(10**27)),
        ]
        assert {row["node"] for row in rows} == {NODE_NAME}
        too_many = {**bid(9, 1), "transactions": 1 << 32}
        body = msgspec.msgpack.encode({"stream": stream, "first": 3, "records": [too_many]})
        assert running.send(body, key=BUILDER)[0] == 400
        here = ["--url", running.operator_url, "--table", "bids"]
        asked = run_cli("query", *here, "--block", "8", "--node", NODE_NAME)
        assert f"{10**27} wei" in asked.stdout
        out = tmp_path / "bids.parquet"
        assert run_cli("export", *here, "--out", str(out)).returncode == 0
        assert count_parquet(out, "toUInt32(max(block_number))") == 8
