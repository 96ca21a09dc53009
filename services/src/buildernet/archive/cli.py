# SPDX-License-Identifier: MIT
"""Command `archive`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from buildernet.base import command, config, logs

_EXAMPLES: Final = """\
examples:
  archive serve --config /etc/buildernet/archive.toml
  archive serve --data-dir /tmp/archive --listen-addr 127.0.0.1:14893
  archive query --hash 0x4d71…  --json
  archive query --block 21000000 --signer 0x9349365494be4f6205e5d44bdc7ec7dcd134becf
  archive query --table bundle_receipts --since 2026-11-20T21:00:00Z --until 2026-11-20T22:00:00Z
  archive export --since 2026-11-01 --until 2026-12-01 --out november.parquet
"""

_DEFAULT_URL: Final = "http://127.0.0.1:14894"
_DEFAULT_ROWS: Final = 100
_MAX_DIGITS: Final = 18
"""Of a number of rows."""
_SECOND_US: Final = 1_000_000
_FILTERS: Final = ("hash", "block", "signer", "node", "since", "until")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    return command.run(lambda: arguments.run(arguments), program="archive", debug=arguments.debug)


def _serve(arguments: argparse.Namespace) -> None:
    # Here, so that --help and a wrong flag answer at once.
    import uvloop

    from buildernet.archive.config import ENVIRONMENT_PREFIX, ArchiveConfig
    from buildernet.archive.running import run_archive

    flags = {
        "general.listen_addr": arguments.listen_addr,
        "general.operator_listen_addr": arguments.operator_listen_addr,
        "general.certificate_file": arguments.certificate_file,
        "general.private_key_file": arguments.private_key_file,
        "general.log_debug": "true" if arguments.log_debug else None,
        "storage.data_dir": arguments.data_dir,
        "storage.database_url": arguments.database_url,
    }
    settings = config.load(
        ArchiveConfig,
        path=arguments.config,
        prefix=ENVIRONMENT_PREFIX,
        environment=os.environ,
        overrides=flags,
    )
    logs.configure(as_json=settings.general.log_json, debug=settings.general.log_debug)
    uvloop.run(run_archive(settings))


def _query(arguments: argparse.Namespace) -> None:
    archive = _remote(arguments)
    query = _filters(arguments)
    if arguments.raw:
        query["raw"] = "1"
    left = arguments.limit
    most = 100 if arguments.raw else 1000
    found = 0
    while left:
        page = archive.page(arguments.table, {**query, "limit": str(min(left, most))})
        for row in page["rows"]:
            print(json.dumps(row) if arguments.json else _line(arguments.table, row))
        found += len(page["rows"])
        left -= len(page["rows"])
        if not page["next"] or not page["rows"]:
            break
        query["after"] = page["next"]
    else:
        sys.stderr.write(f"archive: stopped at {found} rows; see more with --limit\n")
    if not found:
        sys.stderr.write("archive: nothing found\n")


def _export(arguments: argparse.Namespace) -> None:
    size = _remote(arguments).export(arguments.table, _filters(arguments), arguments.out)
    if arguments.json:
        print(json.dumps({"file": str(arguments.out), "bytes": size}))
    else:
        print(f"{arguments.out}: {size} bytes")


# Any: RemoteArchive is imported late.
def _remote(arguments: argparse.Namespace) -> Any:
    from buildernet.archive.remote import RemoteArchive
    from buildernet.base.bounded_file import read_file

    token = None
    if arguments.token_file is not None:
        token = read_file(arguments.token_file, limit=4096).strip().decode("ascii", "replace")
    return RemoteArchive(arguments.url, token=token, authority=arguments.authority_file)


def _filters(arguments: argparse.Namespace) -> dict[str, str]:
    given = {name: getattr(arguments, name, None) for name in _FILTERS}
    return {name: value for name, value in given.items() if value is not None}


def _line(table: str, row: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(row["received_at"] / _SECOND_US, UTC)
    at = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    match table:
        case "bundle_receipts":
            route = f"{row['src_builder_name']} -> {row['dst_builder_name']}"
            return f"{at}  {row['bundle_hash']}  {route}  {row['payload_size']} bytes"
        case "bids":
            bid = f"block {row['block_number']}  {row['block_hash']}  {row['value_wei']} wei"
            return f"{at}  {bid}  {row['node']}"
        case _:
            block = row["block_number"] or "next"
            return (
                f"{at}  {row['kind']:<12} {row['hash']}  block {block}"
                f"  {len(row['tx_hash'])} txs  {row['signer_address']}  {row['node']}"
            )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="archive",
        description="The redistribution archive: keeps what the nodes received.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    serve = verbs.add_parser("serve", help="run the service")
    serve.set_defaults(run=_serve)
    serve.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    serve.add_argument("--listen-addr", metavar="HOST:PORT", help="for nodes (127.0.0.1:14893)")
    serve.add_argument(
        "--operator-listen-addr", metavar="HOST:PORT", help="for questions (127.0.0.1:14894)"
    )
    serve.add_argument("--certificate-file", metavar="FILE", help="PEM chain: speak TLS 1.3")
    serve.add_argument("--private-key-file", metavar="FILE", help="PEM key of it")
    serve.add_argument("--data-dir", metavar="DIR", help="tables of the embedded engine")
    serve.add_argument("--log-debug", action="store_true", help="log every request")
    serve.add_argument("--database-url", metavar="URL", help="a ClickHouse server instead")
    query = verbs.add_parser("query", help="look rows up in a running archive")
    query.set_defaults(run=_query)
    _add_filters(query)
    query.add_argument("--hash", help="of an order, of one of its transactions, or of a block")
    query.add_argument("--block", help="number of the target block")
    query.add_argument("--signer", help="address of the user")
    query.add_argument("--limit", type=_rows, default=_DEFAULT_ROWS, help="rows (default: 100)")
    query.add_argument("--raw", action="store_true", help="with the transactions themselves")
    query.add_argument("--json", action="store_true", help="one JSON object per line")
    export = verbs.add_parser("export", help="write a table to a Parquet file")
    export.set_defaults(run=_export)
    _add_filters(export)
    export.add_argument("--out", type=Path, required=True, metavar="FILE")
    export.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--table", choices=("bundles", "bundle_receipts", "bids"), default="bundles"
    )
    parser.add_argument("--node", help="name of the recording node")
    parser.add_argument("--since", metavar="TIME", help="ISO 8601 or seconds since 1970")
    parser.add_argument("--until", metavar="TIME", help="as --since; exclusive")
    parser.add_argument("--url", default=_DEFAULT_URL, help=f"default: {_DEFAULT_URL}")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="the operator's token")
    parser.add_argument(
        "--authority-file",
        type=Path,
        metavar="FILE",
        help="PEM of who vouches for its certificate (https; default: the system's authorities)",
    )


def _rows(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 1 on")
    return int(text)
