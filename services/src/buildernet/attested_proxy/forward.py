# SPDX-License-Identifier: MIT
"""Forwards HTTP requests one by one, bodies as they come, headers by the rules of `headers`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from buildernet.attested_proxy.connector import AttestedResponse
from buildernet.attested_proxy.errors import (
    BadTargetError,
    BodyTooLargeError,
    UpstreamError,
    UpstreamTimeoutError,
)
from buildernet.attested_proxy.evidence import Peer
from buildernet.attested_proxy.headers import add_peer, add_sender, forwardable

_PIECE_BYTES: Final = 64 * 1024
"""aiohttp's buffer of a connection."""

_HOST: Final = frozenset({"host"})


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Passes requests to one target.

    The peer is whoever is at the attested end: of the incoming connection in a server, of the
    outgoing one in a client.
    """

    session: aiohttp.ClientSession
    target: URL
    """Scheme, host, port, and a path put in front of every request's."""
    max_body_bytes: int
    peer_sends_requests: bool
    """True in a server, whose clients are attested; False in a client."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forward one request.

        Raises:
            RequestError: It is refused, or the target cannot be reached.
        """
        headers = forwardable(request.headers, drop=_HOST)
        add_sender(headers, request.remote or "unknown")
        if self.peer_sends_requests:
            add_peer(headers, peer_of(request))
        body = self._body(request) if request.can_read_body else None
        try:
            async with self.session.request(
                request.method,
                self._url(request),
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:
                return await self._answer(request, answer)
        except TimeoutError as exc:
            raise UpstreamTimeoutError("target does not answer in time") from exc
        except aiohttp.ClientError as exc:
            raise UpstreamError(f"target failed: {exc or type(exc).__name__}") from exc

    def _url(self, request: web.Request) -> URL:
        path = request.raw_path
        if not path.startswith("/"):
            raise BadTargetError("request target is not a path")
        base = f"{self.target.origin()}{self.target.raw_path.rstrip('/')}"
        return URL(base + path, encoded=True)

    async def _body(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > self.max_body_bytes:
                raise BodyTooLargeError(f"body is larger than {self.max_body_bytes} bytes")
            yield piece

    async def _answer(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        headers = forwardable(answer.headers)
        if isinstance(answer, AttestedResponse):
            add_peer(headers, answer.peer)
        response = web.StreamResponse(
            status=answer.status, reason=answer.reason, headers=CIMultiDict(headers)
        )
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
