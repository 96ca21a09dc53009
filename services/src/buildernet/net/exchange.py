# SPDX-License-Identifier: MIT
"""One request to a server and its answer, whichever version of HTTP carries it.

The clients of `net.http1_client` and `net.http2_client` give these. They pass headers and bodies
as they are: no cookies, redirects, decompression or retries that a proxy would have to turn off.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from buildernet.net.errors import ExchangeError

MAX_ANSWER_HEADERS: Final = 128
"""Of an answer; aiohttp's own default."""

MAX_INFORMATIONAL: Final = 16
"""Answers of the 1xx kind before the real one; a server has no use for more."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to pass on."""

    method: str
    path: str
    """With its query, as it goes on the wire."""
    headers: CIMultiDict[str]
    """Host included, nothing that belongs to one connection only."""
    body: AsyncIterator[bytes] | bytes | None = None
    """Bytes are the whole body; an iterator is a body that is still arriving."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answers."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str] | CIMultiDict[str]
    content: StreamReader
    peer: object = None
    """Who answered, as the connection's transport knows it."""


class Connection(Protocol):
    """A connection that requests go over."""

    async def exchange(self, request: Outgoing) -> Answer:
        """Send a request; return once the headers of the answer are there.

        Raises:
            ExchangeError: The server broke off or its answer is malformed.
        """


def header_lines(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of an HTTP/1.1 message.

    Raises:
        ExchangeError: A header would end its line early and so forge another.
    """
    lines = [first, *(f"{name}: {value}" for name, value in headers), "", ""]
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise ExchangeError("a header contains a line break")
    return text.encode("utf-8", "surrogateescape")
