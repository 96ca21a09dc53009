# SPDX-License-Identifier: MIT
"""Long answers, sent piece by piece so that a slow reader costs one piece of memory and no more."""

from collections.abc import Iterable, Iterator
from typing import Final

from aiohttp import web

_PIECE_CHARS: Final = 32 * 1024
"""Half of aiohttp's write buffer, so that every second piece waits for the reader."""


async def stream_text(
    request: web.Request, parts: Iterable[str], *, content_type: str
) -> web.StreamResponse:
    """Answer 200 with the parts joined, waiting whenever the client does not keep up.

    When it is cancelled midway (deadline, stop), the connection is cut, so that the client cannot
    take what it has for the whole.
    """
    response = web.StreamResponse()
    response.content_type = content_type
    response.charset = "utf-8"
    try:
        await response.prepare(request)
        for piece in _pieces(parts):
            await response.write(piece.encode())
        await response.write_eof()
    except BaseException:
        if request.transport is not None:
            request.transport.abort()
        raise
    return response


def _pieces(parts: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _PIECE_CHARS:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)
