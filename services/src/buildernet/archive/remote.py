# SPDX-License-Identifier: MIT
"""Asks a running archive, for the command line."""

import http
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlencode

from buildernet.archive.errors import RemoteError
from buildernet.base.bounded_file import replacing
from buildernet.net.authority import trusting
from buildernet.net.http_url import parse_http_url

_SECONDS: Final = 60
_EXPORT_SECONDS: Final = 600
"""Between two pieces of an export."""
_MAX_PAGE_BYTES: Final = 256 << 20
_MAX_ERROR_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 1 << 20
_NOT_FOUND_HINT: Final = "is it the operator's address? nodes have one of their own"


class RemoteArchive:
    """The operator's side of a running archive."""

    def __init__(
        self, url: str, *, token: str | None = None, authority: Path | None = None
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: http or https, such as `http://127.0.0.1:14894`.
            token: The operator's, or None.
            authority: PEM file of who vouches for its certificate; the system's otherwise.

        Raises:
            ConfigError: Another URL, or the file holds no certificates.
        """
        parse_http_url("--url", url, schemes=("http", "https"))
        self._tls = trusting(authority)
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def page(self, table: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page: `rows` and `next`.

        Raises:
            RemoteError: It is not reachable, refuses, or does not answer with a page.
        """
        with self._get(f"/api/v1/{table}", query, seconds=_SECONDS) as answer:
            try:
                page = json.loads(answer.read(_MAX_PAGE_BYTES))
            except (ValueError, RecursionError, OSError, http.client.HTTPException) as exc:
                raise RemoteError(f"{self._url} answered with no page of rows: {exc}") from exc
        if not isinstance(page, dict) or not isinstance(page.get("rows"), list):
            raise RemoteError(f"{self._url} answered with no page of rows")
        return page

    def export(self, table: str, query: Mapping[str, str], out: Path) -> int:
        """Write a Parquet file whole or not at all; returns its size in bytes.

        Raises:
            RemoteError: It is not reachable, refuses, breaks off, or the file cannot be written.
        """
        if out.is_dir():
            raise RemoteError(f"{out} is a folder", hint="name the file in it")
        size = 0
        try:
            with (
                self._get(f"/api/v1/{table}/export", query, seconds=_EXPORT_SECONDS) as answer,
                replacing(out) as file,
            ):
                while piece := answer.read(_PIECE_BYTES):
                    file.write(piece)
                    size += len(piece)
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "strerror", None) or exc or type(exc).__name__
            raise RemoteError(f"export to {out} failed: {reason}") from exc
        return size

    def _get(self, path: str, query: Mapping[str, str], *, seconds: int) -> IO[bytes]:
        url = f"{self._url}{path}?{urlencode(query)}"
        request = urllib.request.Request(url, headers=self._headers)  # noqa: S310  (checked)
        try:
            answer: IO[bytes] = urllib.request.urlopen(  # noqa: S310
                request, timeout=seconds, context=self._tls
            )
        except urllib.error.HTTPError as exc:
            hint = _NOT_FOUND_HINT if exc.code == http.HTTPStatus.NOT_FOUND else None
            with exc:
                raise RemoteError(f"{self._url}: {_reason(exc)}", hint=hint) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise RemoteError(
                f"{self._url} does not answer: {_cause(exc)}",
                hint="is `archive serve` running? choose its operator address with --url",
            ) from exc
        return answer


def _cause(exc: Exception) -> object:
    """Return what urllib has wrapped, so that a user need not read its name."""
    reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
    return getattr(reason, "strerror", None) or reason


def _reason(exc: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(exc.read(_MAX_ERROR_BYTES))["message"])
    except (ValueError, KeyError, TypeError, OSError, RecursionError, http.client.HTTPException):
        return f"status {exc.code}"
