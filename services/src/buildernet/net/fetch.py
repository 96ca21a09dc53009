# SPDX-License-Identifier: MIT
"""One bounded HTTP GET, for collateral and published measurements."""

from collections.abc import Mapping
from typing import Final

import aiohttp

from buildernet.base.errors import ConfigError
from buildernet.net.address import is_local
from buildernet.net.errors import FetchError
from buildernet.net.http_url import parse_http_url

TIMEOUT_SECONDS: Final = 20.0
"""Intel's service took up to 6.4 s in published benchmarks."""


class HttpFetcher:
    """Gets URLs over TLS; plain HTTP only from this machine. Redirects are not followed."""

    def __init__(self, session: aiohttp.ClientSession, *, plain_http: bool = False) -> None:
        """Use a session.

        Args:
            session: of aiohttp.
            plain_http: allow it from anywhere, for what carries its own signature.
        """
        self._session = session
        self._plain_http = plain_http

    async def __call__(self, url: str, *, limit: int) -> tuple[bytes, Mapping[str, str]]:
        """Return body and headers.

        Args:
            url: https, or http to the loopback interface (a local PCCS).
            limit: bytes of the body.

        Raises:
            FetchError: another URL, no answer in `TIMEOUT_SECONDS`, a status other than 200, or a
                body over the limit.
        """
        try:
            parts = parse_http_url("address", url, schemes=("https", "http"))
        except ConfigError as exc:
            raise FetchError(exc.message) from exc
        if parts.scheme == "http" and not (self._plain_http or is_local(parts.hostname or "")):
            raise FetchError(f"{url}: only https, or http to this machine")
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise FetchError(f"{url}: status {answer.status}")
                return await read_bounded(answer, limit=limit), answer.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise FetchError(f"{url}: {str(exc) or type(exc).__name__}") from exc


async def read_bounded(answer: aiohttp.ClientResponse, *, limit: int) -> bytes:
    """Return the body of an answer.

    Raises:
        FetchError: It has more than `limit` bytes.
        aiohttp.ClientError: The connection ends before it.
    """
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise FetchError(f"{answer.url}: more than {limit} bytes")
    return bytes(body)
