# SPDX-License-Identifier: MIT
"""One bounded HTTP GET, for collateral and published measurements."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from buildernet.net.errors import FetchError

TIMEOUT_SECONDS: Final = 20.0
"""Intel's service took up to 6.4 s in published benchmarks."""

_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


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
        parts = urlsplit(url)
        plain = parts.scheme == "http" and (self._plain_http or parts.hostname in _LOOPBACK)
        if parts.scheme != "https" and not plain:
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
