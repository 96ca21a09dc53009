# SPDX-License-Identifier: MIT
"""Questions an operator may ask: by hash, block, signer, node and time, page by page.

Only names of our own tables and columns stand in the SQL; every value that comes from outside is a
bound parameter, checked before.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from buildernet.archive.engine import Engine
from buildernet.archive.errors import QueryError
from buildernet.archive.tables import BIDS, BUNDLES, RECEIPTS, TABLES, Table
from buildernet.net.archive_stream import MAX_TIME_US

DEFAULT_ROWS: Final = 100
MAX_ROWS: Final = 1000
"""One page; a caller asks for the next one."""
MAX_RAW_ROWS: Final = 100
"""With the transactions' bytes a row can have a megabyte."""

_SECONDS: Final = 30
_MEMORY_BYTES: Final = 2 << 30
_RESULT_BYTES: Final = 128 << 20
_EXPORT_SECONDS: Final = 3600
_ROW_GROUP_BYTES: Final = 64 << 20
"""Of an export's rows in memory at once, by each of its threads."""

_SETTINGS: Final = (
    f" SETTINGS max_execution_time = {_SECONDS}, max_memory_usage = {_MEMORY_BYTES},"
    f" max_result_bytes = {_RESULT_BYTES}, result_overflow_mode = 'throw',"
    " output_format_json_quote_64bit_integers = 0,"
    " do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1"
)
_EXPORT_SETTINGS: Final = (
    f" SETTINGS max_execution_time = {_EXPORT_SECONDS},"
    f" output_format_parquet_row_group_size_bytes = {_ROW_GROUP_BYTES},"
    " do_not_merge_across_partitions_select_final = 1"
)

_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_SECONDS_TEXT: Final = re.compile(r"[0-9]{9,12}")
"""From 1973 on; fewer digits are a year or a mistake."""
_MAX_NAME_CHARS: Final = 255
_SECOND_US: Final = 1_000_000
_PREFIX: Final = "shown_"
_RAW: Final = frozenset({"tx.raw", "rest"})

_BY_HASH: Final = {
    BUNDLES.name: "(hash = unhex({hash:String}) OR has(`tx.hash`, unhex({hash:String})))",
    RECEIPTS.name: "bundle_hash = unhex({hash:String})",
    BIDS.name: "block_hash = unhex({hash:String})",
}
_BY_BLOCK: Final = "block_number = {block:UInt64}"
_BY_SIGNER: Final = "signer_address = unhex({signer:String})"
_SINCE: Final = "received_at >= fromUnixTimestamp64Micro({since:Int64})"
_UNTIL: Final = "received_at < fromUnixTimestamp64Micro({until:Int64})"


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for; None leaves a condition out."""

    table: Table
    hash: str | None = None
    """64 hexadecimal digits: of the order or of one of its transactions."""
    block: int | None = None
    signer: str | None = None
    """40 hexadecimal digits."""
    node: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    """Exclusive."""
    limit: int = DEFAULT_ROWS
    raw: bool = False
    """With the transactions' bytes and the members that have no column."""
    after: tuple[int, str, str, int] | None = None
    """Time, node, stream and number of the last row of the page before."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of time, and where the next page begins."""

    rows: list[dict[str, Any]]
    next: str | None


def parse_question(table: str, query: Mapping[str, str], *, paged: bool = True) -> Question:
    """Read a question from a URL's query.

    Args:
        table: Name of a table.
        query: Parameters; a name may stand there once.
        paged: Whether the parameters of pages are among those known.

    Raises:
        QueryError: Unknown table or parameter, or a value that is none.
    """
    known = TABLES.get(table)
    if known is None:
        raise QueryError(f"no table {table[:60]!r}; there are {', '.join(TABLES)}")
    for name in query:
        if name not in _CONDITIONS and not (paged and name in _OF_PAGES):
            raise QueryError(f"unknown parameter {name[:60]!r}")
    if len(query) != len(set(query)):
        raise QueryError("a parameter stands there twice")
    if "signer" in query and known is not BUNDLES:
        raise QueryError(f"{known.name} have no signer")
    if "block" in query and known is RECEIPTS:
        raise QueryError("receipts have no block")
    raw = query.get("raw", "0")
    if raw not in ("0", "1"):
        raise QueryError("raw must be 0 or 1")
    most = MAX_RAW_ROWS if raw == "1" else MAX_ROWS
    return Question(
        table=known,
        hash=_digits(query, "hash", _HASH),
        block=_number(query, "block"),
        signer=_digits(query, "signer", _ADDRESS),
        node=_name(query),
        since_us=_time(query, "since"),
        until_us=_time(query, "until"),
        limit=_limit(query, most),
        raw=raw == "1",
        after=_cursor(query["after"]) if "after" in query else None,
    )


_CONDITIONS: Final = frozenset({"hash", "block", "signer", "node", "since", "until"})
_OF_PAGES: Final = frozenset({"limit", "raw", "after"})


def ask(engine: Engine, question: Question) -> Page:
    """Answer a question; blocks.

    Raises:
        EngineError: The engine failed, or the question costs more than its limits.
    """
    table = question.table
    where, parameters = _conditions(question)
    shown = [c.expression for c in table.columns if question.raw or c.name not in _RAW]
    order = f"received_at, {table.node}, stream, seq"
    # Names are ours, values are bound.
    statement = (
        f"SELECT {', '.join(shown)} FROM {table.name} FINAL{where}"  # noqa: S608
        f" ORDER BY {order} LIMIT {question.limit + 1}{_SETTINGS}"
    )
    lines = engine.query(statement, parameters).splitlines()
    rows = [
        {name.removeprefix(_PREFIX): value for name, value in msgspec.json.decode(line).items()}
        for line in lines[: question.limit]
    ]
    more = len(lines) > question.limit
    return Page(rows, _encode_cursor(table, rows[-1]) if more else None)


def export_statement(question: Question) -> tuple[str, dict[str, str | int]]:
    """Return the statement whose result an export is, with its parameters."""
    where, parameters = _conditions(question)
    return (
        f"SELECT * FROM {question.table.name} FINAL{where}{_EXPORT_SETTINGS}",  # noqa: S608
        parameters,
    )


def _conditions(question: Question) -> tuple[str, dict[str, str | int]]:
    table = question.table
    found: list[tuple[str, dict[str, str | int]]] = []
    if question.hash is not None:
        found.append((_BY_HASH[table.name], {"hash": question.hash}))
    if question.block is not None:
        found.append((_BY_BLOCK, {"block": question.block}))
    if question.signer is not None:
        found.append((_BY_SIGNER, {"signer": question.signer}))
    if question.node is not None:
        found.append((f"{table.node} = {{node:String}}", {"node": question.node}))
    if question.since_us is not None:
        found.append((_SINCE, {"since": question.since_us}))
    if question.until_us is not None:
        found.append((_UNTIL, {"until": question.until_us}))
    if question.after is not None:
        at, node, stream, seq = question.after
        after = (
            f"(received_at, {table.node}, stream, seq) > (fromUnixTimestamp64Micro({{at:Int64}}),"
            " {after:String}, {stream:UUID}, {seq:UInt64})"
        )
        found.append((after, {"at": at, "after": node, "stream": stream, "seq": seq}))
    where = " AND ".join(condition for condition, _ in found)
    parameters = {name: value for _, bound in found for name, value in bound.items()}
    return (f" WHERE {where}" if where else ""), parameters


def _digits(query: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str | None:
    text = query.get(name)
    if text is None:
        return None
    if pattern.fullmatch(text) is None:
        digits = 64 if pattern is _HASH else 40
        raise QueryError(f"{name} is not 0x and {digits} hexadecimal digits")
    return text[2:]


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise QueryError(f"{name} is no number")
    return int(text)


def _limit(query: Mapping[str, str], most: int) -> int:
    limit = _number(query, "limit")
    if limit is None:
        return min(DEFAULT_ROWS, most)
    if not 1 <= limit <= most:
        raise QueryError(f"limit must be between 1 and {most}")
    return limit


def _name(query: Mapping[str, str]) -> str | None:
    name = query.get("node")
    if name is not None and (len(name) > _MAX_NAME_CHARS or not name.isprintable()):
        raise QueryError("node is no name")
    return name


def _time(query: Mapping[str, str], name: str) -> int | None:
    """Read seconds since 1970, or a date or time as ISO 8601 writes it, UTC unless it says so."""
    text = query.get(name)
    if text is None:
        return None
    if _SECONDS_TEXT.fullmatch(text):
        moment_us = int(text) * _SECOND_US
    else:
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            moment_us = int(moment.timestamp() * _SECOND_US)
        except (ValueError, OverflowError) as exc:
            raise QueryError(
                f"{name} is no time; write 2026-11-20T21:00:00Z or seconds since 1970"
            ) from exc
    if not 0 <= moment_us <= MAX_TIME_US:
        raise QueryError(f"{name} is out of range")
    return moment_us


def _encode_cursor(table: Table, row: Mapping[str, Any]) -> str:
    last = (row["received_at"], row[table.node], row["stream"], row["seq"])
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).decode().rstrip("=")


def _cursor(text: str) -> tuple[int, str, str, int]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        at, node, stream, seq = msgspec.json.decode(raw, type=tuple[int, str, str, int])
        stream = str(UUID(stream))
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise QueryError("after is no cursor of this archive") from exc
    if not (0 <= at <= MAX_TIME_US and 0 <= seq < 1 << 64) or "\0" in node:
        raise QueryError("after is no cursor of this archive")
    return at, node, stream, seq
