# SPDX-License-Identifier: MIT
"""The operator's side: questions and exports, behind a token where others could reach it."""

import hmac
from typing import Final

from aiohttp import web

from buildernet.archive.errors import BusyError, EngineError, UnauthorisedError
from buildernet.archive.queries import parse_question
from buildernet.archive.reader import Reader
from buildernet.net.middleware import json_error

READER: Final = web.AppKey("reader", Reader)
TOKEN: Final = web.AppKey("token", bytes)

_PARQUET: Final = "application/vnd.apache.parquet"
_SCHEME: Final = "Bearer "


async def get_rows(request: web.Request) -> web.Response:
    """Answer with a page of rows and the cursor of the next one."""
    _authorise(request)
    question = parse_question(request.match_info["table"], request.query)
    try:
        page = await request.app[READER].ask(question)
    except (BusyError, EngineError) as exc:
        return json_error(503, exc.message, headers={"Retry-After": "1"})
    return web.json_response({"rows": page.rows, "next": page.next})


async def get_export(request: web.Request) -> web.StreamResponse:
    """Answer with a Parquet file; a connection that is cut means an incomplete one."""
    _authorise(request)
    question = parse_question(request.match_info["table"], request.query, paged=False)
    pieces = request.app[READER].export(question)
    try:
        first = await anext(pieces, b"")
    except (BusyError, EngineError) as exc:
        return json_error(503, exc.message, headers={"Retry-After": "30"})
    response = web.StreamResponse()
    response.content_type = _PARQUET
    try:
        await response.prepare(request)
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
    except BaseException:
        if request.transport is not None:
            request.transport.abort()
        raise
    finally:
        await pieces.aclose()
    return response


def _authorise(request: web.Request) -> None:
    token = request.app[TOKEN]
    if not token:
        return
    given = request.headers.get("Authorization", "")
    if not given.startswith(_SCHEME) or not hmac.compare_digest(
        given.removeprefix(_SCHEME).strip().encode("utf-8", "replace"), token
    ):
        raise UnauthorisedError("this question needs the operator's token")
