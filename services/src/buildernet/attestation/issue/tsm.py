# SPDX-License-Identifier: MIT
"""TDX quotes through the kernel's configfs-tsm.

One private entry per quote: made, written, read, dropped. `generation` is compared before the quote
is believed, so that another process that writes to the same entry is noticed.

Reference:
    Linux Documentation/ABI/testing/configfs-tsm-report; specs/attestation.md section 1.1.
"""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.attestation.errors import QuoteFormatError
from buildernet.attestation.issue.errors import NoProviderError, QuoteUnavailableError
from buildernet.attestation.quote import parse_quote

DEFAULT_BASE: Final = Path("/sys/kernel/config/tsm/report")
TDX_PROVIDER: Final = "tdx_guest\n"
REPORT_DATA_BYTES: Final = 64
"""tdx_guest takes exactly this many."""

MAX_OUTBLOB_BYTES: Final = 128 * 1024
"""The kernel's GetQuote buffer since 2025; real quotes are a sixteenth of it."""

MAX_TEXT_BYTES: Final = 4096
"""A text attribute is one page."""

ATTEMPTS: Final = 5
"""EBUSY and a foreign write pass by themselves; more attempts would hide a fault."""

RETRY_SECONDS: Final = 0.2
"""The kernel polls a quote in flight once a second."""

_READ_BYTES: Final = 4096
_GENERATIONS: Final = 1 << 64
_NO_TSM: Final = frozenset({errno.ENOENT, errno.ENXIO, errno.ENOTDIR, errno.EPERM})
_HINT: Final = (
    "a TDX guest needs CONFIG_TDX_GUEST_DRIVER (module tdx-guest) and configfs mounted;"
    " the path can be configured"
)


class _RetryError(Exception):
    """This attempt failed in a way that passes."""


@dataclass(frozen=True, slots=True)
class TSMQuotes:
    """Gives quotes, blocking; one at a time is all the hardware can do (see `queue`)."""

    base: Path = DEFAULT_BASE
    """Folder of the report entries."""
    sleep: Callable[[float], None] = time.sleep
    """Waits between attempts, in seconds."""

    def check(self) -> None:
        """Check that entries can be made and that the provider is a TDX guest's.

        Raises:
            NoProviderError: no configfs-tsm, or of another kind of machine.
        """
        with self._entry() as entry:
            _require_tdx(entry)

    def quote(self, report_data: bytes) -> bytes:
        """Have the hardware quote 64 bytes.

        Args:
            report_data: exactly 64 bytes.

        Returns:
            The quote without padding.

        Raises:
            NoProviderError: no configfs-tsm, or of another kind of machine.
            QuoteUnavailableError: no quote after `ATTEMPTS`, or one that is not about
                `report_data`.
        """
        if len(report_data) != REPORT_DATA_BYTES:
            raise QuoteUnavailableError(
                f"report data has {len(report_data)} bytes, TDX takes {REPORT_DATA_BYTES}"
            )
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.sleep(RETRY_SECONDS)
            try:
                return self._attempt(report_data)
            except _RetryError as exc:
                reason = str(exc)
        raise QuoteUnavailableError(f"no TDX quote after {ATTEMPTS} attempts: {reason}")

    def _attempt(self, report_data: bytes) -> bytes:
        with self._entry() as entry:
            _require_tdx(entry)
            wanted = (_generation(entry) + 1) % _GENERATIONS
            (entry / "inblob").write_bytes(report_data)
            try:
                outblob = _read(entry / "outblob", MAX_OUTBLOB_BYTES)
            except OSError as exc:
                raise _explain(exc) from exc
            if (found := _generation(entry)) != wanted:
                raise _RetryError(f"generation is {found}, not {wanted}: another process wrote")
        return _unpad(outblob, report_data)

    @contextlib.contextmanager
    def _entry(self) -> Iterator[Path]:
        path = self.base / f"buildernet-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            path.mkdir()
        except OSError as exc:
            if exc.errno in _NO_TSM:
                raise NoProviderError(
                    f"no TDX guest at {self.base}: {exc.strerror}", hint=_HINT
                ) from exc
            raise QuoteUnavailableError(f"cannot make {path}: {exc.strerror}") from exc
        try:
            yield path
        except OSError as exc:
            raise QuoteUnavailableError(f"{exc.filename}: {exc.strerror}") from exc
        finally:
            # The attributes cannot be unlinked: the folder goes with them. It failing must not
            # hide why the quote failed.
            with contextlib.suppress(OSError):
                path.rmdir()


def _require_tdx(entry: Path) -> None:
    provider = _read(entry / "provider", MAX_TEXT_BYTES).decode("ascii", "replace")
    if provider != TDX_PROVIDER:
        raise NoProviderError(
            f"{entry.parent} belongs to {provider.strip()!r}, not {TDX_PROVIDER.strip()!r}"
        )


def _generation(entry: Path) -> int:
    text = _read(entry / "generation", MAX_TEXT_BYTES)
    try:
        return int(text)
    except ValueError as exc:
        raise QuoteUnavailableError(f"{entry}/generation is {text[:40]!r}") from exc


def _read(path: Path, limit: int) -> bytes:
    """Read to the end: configfs gives binary attributes the size 0."""
    parts, size = [], 0
    with path.open("rb", buffering=0) as stream:
        while part := stream.read(_READ_BYTES):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise QuoteUnavailableError(f"{path} gives more than {limit} bytes")
    return b"".join(parts)


def _explain(exc: OSError) -> Exception:
    match exc.errno:
        case errno.EBUSY:
            return _RetryError("the previous quote request is still in flight")
        case errno.EIO:
            return QuoteUnavailableError(
                "the host refused to quote (GetQuote failed)",
                hint="the host needs a running quote generation service (QGS)",
            )
        case errno.ETIMEDOUT:
            return QuoteUnavailableError("the host did not quote within the kernel's 30 s")
        case _:
            return QuoteUnavailableError(f"reading the quote: {exc.strerror}")


def _unpad(outblob: bytes, report_data: bytes) -> bytes:
    if not outblob:
        raise QuoteUnavailableError(
            "the quote is empty",
            hint="the host's quote generation service (QGS) is missing or too old",
        )
    try:
        quote = parse_quote(outblob)
    except QuoteFormatError as exc:
        raise QuoteUnavailableError(f"the host gave no TDX quote: {exc}") from exc
    if quote.body.report_data != report_data:
        raise QuoteUnavailableError("the quote is about other report data than asked for")
    return quote.raw
