# SPDX-License-Identifier: MIT
"""Questions: what is refused, and that nothing from outside becomes SQL."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict

from buildernet.archive.errors import QueryError
from buildernet.archive.queries import ask, export_statement, parse_question
from buildernet.archive.tables import BUNDLES, TABLES

_HASH = "0x" + "ab" * 32


class Recording:
    """An engine that answers with prepared rows and keeps what it was asked."""

    def __init__(self, rows: Sequence[dict[str, object]] = ()) -> None:
        self.rows = rows
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def query(self, statement: str, parameters: dict[str, Any]) -> bytes:
        self.asked.append((statement, parameters))
        return b"\n".join(json.dumps(row).encode() for row in self.rows)


def _row(number: int) -> dict[str, object]:
    return {
        "shown_received_at": 1000 + number,
        "shown_node": "n'1",
        "shown_stream": "00000000-0000-0000-0000-000000000001",
        "shown_seq": number,
    }


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"hash": "0x12"}, "hash is not"),
        ({"hash": _HASH + "' OR 1"}, "hash is not"),
        ({"signer": "0x" + "g" * 40}, "signer is not"),
        ({"block": "-1"}, "block is no number"),
        ({"block": "1" * 19}, "block is no number"),
        ({"since": "yesterday"}, "since is no time"),
        ({"since": "2026"}, "since is no time"),
        ({"until": "9999-01-01"}, "until is out of range"),
        ({"limit": "0"}, "limit must be"),
        ({"limit": "1001"}, "limit must be"),
        ({"limit": "101", "raw": "1"}, "limit must be"),
        ({"raw": "yes"}, "raw must be"),
        ({"after": "rubbish"}, "no cursor"),
        ({"node": "a\nb"}, "node is no name"),
        ({"colour": "red"}, "unknown parameter"),
    ],
)
def test_a_wrong_parameter_is_named(query, reason):
    with pytest.raises(QueryError, match=reason):
        parse_question("bundles", query)


@pytest.mark.parametrize(
    ("table", "query"),
    [("bids", {"signer": "0x" + "11" * 20}), ("bundle_receipts", {"block": "1"}), ("users", {})],
)
def test_what_a_table_does_not_have_is_refused(table, query):
    with pytest.raises(QueryError):
        parse_question(table, query)


def test_a_parameter_that_stands_there_twice_is_refused():
    with pytest.raises(QueryError, match="stands there twice"):
        parse_question("bundles", MultiDict([("block", "1"), ("block", "2")]))


@pytest.mark.parametrize("name", ["limit", "raw", "after"])
def test_an_export_has_no_pages(name):
    with pytest.raises(QueryError, match=f"unknown parameter '{name}'"):
        parse_question("bundles", {name: "1"}, paged=False)


@pytest.mark.parametrize("text", ["2026-11-20", "2026-11-20T00:00:00Z", "1795132800"])
def test_times_in_every_form(text):
    assert parse_question("bundles", {"since": text}).since_us == 1_795_132_800_000_000


@settings(max_examples=80, deadline=None)
@given(
    table=st.sampled_from(sorted(TABLES)),
    query=st.dictionaries(
        st.sampled_from(["hash", "block", "signer", "node", "since", "until", "limit", "after"]),
        st.one_of(st.text(max_size=80), st.just(_HASH), st.integers(0, 10**20).map(str)),
    ),
)
def test_values_are_bound_and_never_pasted(table, query):
    try:
        question = parse_question(table, query)
    except QueryError:
        return
    engine: Any = Recording()
    ask(engine, question)
    (statement, parameters) = engine.asked[0]
    plain = {name: value for name, value in query.items() if name != "limit"}
    assert len(parameters) >= len(plain)
    neutral = ask_statement(table, {name: _NEUTRAL[name] for name in plain}, query.get("limit"))
    assert statement == neutral


_NEUTRAL = {
    "hash": "0x" + "00" * 32,
    "signer": "0x" + "00" * 20,
    "block": "1",
    "node": "x",
    "since": "1000000000",
    "until": "1000000000",
    "after": "WzEsIngiLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDEiLDFd",
}


def ask_statement(table: str, query: dict[str, str], limit: str | None) -> str:
    engine: Any = Recording()
    extra = {} if limit is None else {"limit": limit}
    ask(engine, parse_question(table, {**query, **extra}))
    statement: str = engine.asked[0][0]
    return statement


def test_a_full_page_has_a_cursor_that_continues_behind_its_last_row():
    engine: Any = Recording([_row(number) for number in range(3)])
    page = ask(engine, parse_question("bundles", {"limit": "2"}))
    assert [row["seq"] for row in page.rows] == [0, 1]
    assert page.next is not None
    following = parse_question("bundles", {"after": page.next})
    assert following.after == (1001, "n'1", "00000000-0000-0000-0000-000000000001", 1)


def test_the_last_page_has_none():
    page = ask(cast(Any, Recording([_row(0)])), parse_question("bundles", {"limit": "2"}))
    assert page.next is None


def test_an_export_has_the_conditions_and_no_limit():
    statement, parameters = export_statement(parse_question("bundles", {"since": "1000000000"}))
    assert "received_at >=" in statement
    assert "LIMIT" not in statement
    assert parameters == {"since": 1_000_000_000_000_000}


def test_transactions_are_shown_when_asked_for():
    assert "shown_tx_raw" not in ask_statement("bundles", {}, None)
    engine: Any = Recording()
    ask(engine, parse_question("bundles", {"raw": "1"}))
    assert "shown_tx_raw" in engine.asked[0][0]
    assert len(BUNDLES.names) == len(set(BUNDLES.names))
