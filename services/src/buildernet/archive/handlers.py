# SPDX-License-Identifier: MIT
"""The nodes' side: verify who sends, decode, store, and only then say that it is stored."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from buildernet.archive.errors import (
    BusyError,
    EngineError,
    EngineFullError,
    RecordContentError,
    UnknownSenderError,
)
from buildernet.archive.order_events import METHOD, parse_order_events
from buildernet.archive.rows import Row, RowMaker
from buildernet.archive.senders import Senders
from buildernet.archive.writer import Writer
from buildernet.base.errors import BuildernetError
from buildernet.ethereum.errors import SignatureError
from buildernet.ethereum.signature import find_signature, verify_body
from buildernet.net import jsonrpc
from buildernet.net.archive_stream import BatchFormatError, RecordBatch, parse_batch
from buildernet.net.errors import RequestError
from buildernet.net.middleware import json_error

_RETRY_BUSY_S: Final = "1"
_RETRY_FULL_S: Final = "30"
"""Somebody has to free space."""


class Intake:
    """What stands between a request and the writer."""

    def __init__(
        self,
        senders: Senders,
        writer: Writer,
        *,
        max_requests: int,
        registry: CollectorRegistry,
    ) -> None:
        """Prepare.

        Args:
            senders: Who may send.
            writer: Stores rows.
            max_requests: Requests handled at once, from their headers to their answer.
            registry: Where its metrics go.
        """
        self._senders = senders
        self._writer = writer
        self._max_requests = max_requests
        self._handling = 0
        self._rows = RowMaker()
        # One thread: the row maker's memory of senders is not shared.
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="archive-decode")
        self._batches = Counter("archive_batches", "Batches stored.", ["form"], registry=registry)
        self._refused = Counter(
            "archive_batches_refused", "Batches refused, by reason.", ["reason"], registry=registry
        )

    async def take(self, request: web.Request, make: Callable[[str, bytes], list[Row]]) -> int:
        """Store a request's batch and return the number of its rows.

        Args:
            request: With a signed body.
            make: Turns the sender's name and the body into rows; runs in a thread.

        Raises:
            BusyError: Too many requests are being handled, or too much waits to be stored.
            RequestError: The sender is unknown, or the body is malformed.
            EngineError: It could not be stored.
        """
        if self._handling >= self._max_requests:
            self._refused.labels("busy").inc()
            raise BusyError("the archive is busy")
        self._handling += 1
        try:
            body = await request.read()
            node = self._authorise(request, body)
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(self._decoding, make, node, body)
            if rows:
                await self._writer.store(rows)
            return len(rows)
        except BuildernetError as exc:
            self._refused.labels(_reason(exc)).inc()
            raise
        finally:
            self._handling -= 1

    def native_rows(self, node: str, body: bytes) -> list[Row]:
        """Make the rows of a batch of records."""
        batch: RecordBatch = parse_batch(body)
        return self._rows.rows(node, batch.stream, batch.first, batch.records)

    def event_rows(self, node: str, param: bytes) -> list[Row]:
        """Make the rows of a reference proxy's batch."""
        made: list[Row] = []
        for stream, record in parse_order_events(param):
            made += self._rows.rows(node, stream, 0, (record,))
        return made

    def count(self, form: str) -> None:
        """Count a stored batch."""
        self._batches.labels(form).inc()

    def close(self) -> None:
        """Stop the thread."""
        self._decoding.shutdown()

    def _authorise(self, request: web.Request, body: bytes) -> str:
        try:
            signer = verify_body(find_signature(request.headers), body)
        except SignatureError as exc:
            raise UnknownSenderError(exc.message) from exc
        return self._senders.authorise(signer)


INTAKE: Final = web.AppKey("intake", Intake)


async def post_records(request: web.Request) -> web.Response:
    """Store a batch of one of our nodes; 200 means that it is on disk."""
    intake = request.app[INTAKE]
    try:
        rows = await intake.take(request, intake.native_rows)
    except BatchFormatError as exc:
        return json_error(400, exc.message)
    except (BusyError, EngineError) as exc:
        return _later(exc)
    intake.count("records")
    return web.json_response({"stored": rows})


async def post_json_rpc(request: web.Request) -> web.Response:
    """Store a batch of a reference proxy; the result is null."""
    intake = request.app[INTAKE]
    call: list[jsonrpc.Request] = []

    def make(node: str, body: bytes) -> list[Row]:
        parsed = jsonrpc.parse_requests(body)
        calls: Sequence[jsonrpc.Request] = (
            (parsed,) if isinstance(parsed, jsonrpc.Request) else parsed
        )
        if len(calls) != 1:
            raise jsonrpc.InvalidRequestError("Invalid Request: one call at a time")
        call.append(calls[0])
        if calls[0].method != METHOD:
            raise jsonrpc.unknown_method(calls[0].method)
        return intake.event_rows(node, jsonrpc.single_param(calls[0]))

    try:
        await intake.take(request, make)
    except (BusyError, EngineError) as exc:
        return _later(exc)
    except jsonrpc.JsonRpcError as exc:
        return _rpc_error(call, exc, exc.status)
    except RecordContentError as exc:
        return _rpc_error(call, jsonrpc.InvalidParamsError(exc.message), exc.status)
    except UnknownSenderError as exc:
        return _rpc_error(call, jsonrpc.InvalidRequestError(exc.message), exc.status)
    intake.count("order_events")
    return _rpc(jsonrpc.encode_result(call[0].id, None), 200)


def _rpc_error(
    call: Sequence[jsonrpc.Request], error: jsonrpc.JsonRpcError, status: int
) -> web.Response:
    request_id = call[0].id if call else error.request_id
    return _rpc(jsonrpc.encode_error(request_id, error), status)


def _rpc(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _later(exc: BuildernetError) -> web.Response:
    full = isinstance(exc, EngineFullError)
    delay = _RETRY_FULL_S if full else _RETRY_BUSY_S
    return json_error(503, exc.message, headers={"Retry-After": delay})


def _reason(exc: BuildernetError) -> str:
    match exc:
        case BusyError():
            return "busy"
        case EngineFullError():
            return "full"
        case EngineError():
            return "engine"
        case UnknownSenderError():
            return "sender"
        case BatchFormatError() | RequestError():
            return "malformed"
        case _:
            return "other"
