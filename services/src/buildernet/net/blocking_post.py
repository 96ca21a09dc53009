# SPDX-License-Identifier: MIT
"""A blocking HTTP POST for threads that make evidence: plain HTTP, no proxy, no redirects."""

import http.client
import urllib.parse
from collections.abc import Mapping
from typing import Final

from buildernet.net.http_url import parse_http_url

TIMEOUT_SECONDS: Final = 10.0
"""Of one read or write; Azure's metadata service answers within a second."""


def post(url: str, *, headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
    """Send a body and return the answer's.

    Args:
        url: http only: for services at a link-local or loopback address.
        headers: to send.
        body: to send.
        limit: most bytes of answer.

    Raises:
        ConfigError: it is no http URL.
        OSError: no connection, no 200, or a longer answer.
    """
    parts = parse_http_url("address", url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS
    )
    try:
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request("POST", path, body=body, headers=dict(headers))
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise OSError(f"HTTP status {response.status}")
        answer = response.read(limit + 1)
    except http.client.HTTPException as exc:
        raise OSError(f"not HTTP: {exc!r}") from exc
    finally:
        connection.close()
    if len(answer) > limit:
        raise OSError(f"answer has more than {limit} bytes")
    return answer
