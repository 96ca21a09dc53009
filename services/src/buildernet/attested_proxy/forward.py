# SPDX-License-Identifier: MIT
"""Forwards HTTP requests one by one, bodies as they come, headers by the rules of `headers`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web

from buildernet.attested_proxy.errors import (
    BadTargetError,
    BodyTooLargeError,
    UpstreamError,
    UpstreamTimeoutError,
)
from buildernet.attested_proxy.evidence import Peer
from buildernet.attested_proxy.headers import add_peer, add_secret, add_sender, forwardable
from buildernet.attested_proxy.upstream import Upstream
from buildernet.net.errors import ExchangeError
from buildernet.net.exchange import Answer, Outgoing

_HOST: Final = frozenset({"host"})


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Passes requests to one target.

    The peer is whoever is at the attested end: of the incoming connection in a server, of the
    outgoing one in a client.
    """

    upstream: Upstream
    host: str
    """What the target is called in the `Host` of requests."""
    base: str
    """Put in front of every request's path; empty, or without a slash at its end."""
    max_body_bytes: int
    timeout_s: float
    """For one request with both bodies."""
    peer_sends_requests: bool
    """True in a server, whose clients are attested; False in a client."""
    secret: str = field(default="", repr=False)
    """Shown to the target in a header; empty for none."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forward one request.

        Raises:
            RequestError: It is refused, or the target cannot be reached.
        """
        headers = forwardable(request.headers, drop=_HOST)
        headers["Host"] = self.host
        add_sender(headers, request.remote or "unknown")
        add_secret(headers, self.secret)
        if self.peer_sends_requests:
            add_peer(headers, peer_of(request))
        if not request.raw_path.startswith("/"):
            raise BadTargetError("request target is not a path")
        outgoing = Outgoing(
            request.method, self.base + request.raw_path, headers, self._body(request)
        )
        try:
            async with asyncio.timeout(self.timeout_s), self.upstream.request(outgoing) as answer:
                return await self._answer(request, answer)
        except TimeoutError as exc:
            if not request.content.is_eof():
                raise web.HTTPRequestTimeout from exc  # the client was the slow one
            raise UpstreamTimeoutError("target does not answer in time") from exc
        except (aiohttp.ClientError, ExchangeError) as exc:
            raise UpstreamError(f"target failed: {exc or type(exc).__name__}") from exc

    def _body(self, request: web.Request) -> AsyncIterator[bytes] | bytes | None:
        content = request.content
        if content.at_eof():
            # An empty body is one as well where the client says so.
            return b"" if "Content-Length" in request.headers else None
        if content.is_eof() and content.total_bytes <= self.max_body_bytes:
            return content.read_nowait()  # all of it is here
        return self._pieces(request)

    async def _pieces(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > self.max_body_bytes:
                raise BodyTooLargeError(f"body is larger than {self.max_body_bytes} bytes")
            yield piece

    async def _answer(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        headers = forwardable(answer.headers)
        if isinstance(answer.peer, Peer):
            add_peer(headers, answer.peer)
        reason = answer.reason or None
        if answer.content.is_eof() and not answer.content.at_eof():
            # All of it is here: head and body leave in one record.
            body = answer.content.read_nowait()
            return web.Response(body=body, status=answer.status, reason=reason, headers=headers)
        response = web.StreamResponse(status=answer.status, reason=reason, headers=headers)
        try:
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
        except BaseException:
            # What is sent cannot be taken back: cut, so that it is not taken for the whole.
            if request.transport is not None:
                request.transport.abort()
            raise
        return response


def peer_of(request: web.Request) -> Peer:
    """Return who is at the other end of an attested listener's connection."""
    peer = None if request.transport is None else request.transport.get_extra_info("peer")
    return peer if isinstance(peer, Peer) else Peer()
