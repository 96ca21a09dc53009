# SPDX-License-Identifier: MIT
"""A TLS 1.3 server's context whose certificate changes while connections stay.

OpenSSL reads the certificate of a context at each handshake. What is loaded later serves the
connections after that; those that stand keep what they have.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from buildernet.base.background import keeping
from buildernet.base.errors import ConfigError

POLL_S: Final = 5.0
"""How often the files are looked at: a `stat` each."""

_log = logging.getLogger(__name__)

_Version = tuple[tuple[int, int, int], ...]


class ReloadedCertificate:
    """A context, and the files that its certificate comes from."""

    def __init__(self, certificate_file: Path, private_key_file: Path) -> None:
        """Load the files.

        Raises:
            ConfigError: They cannot be read, or do not belong together.
        """
        self._files = (certificate_file, private_key_file)
        self._version = self._look()
        self.context = _context(*self._files)

    def reload(self) -> bool:
        """Load the files if they changed; return whether they did.

        Raises:
            ConfigError: The new ones cannot be used; the context keeps the old ones.
        """
        version = self._look()
        if version == self._version:
            return False
        self._version = version
        _context(*self._files)  # a pair that does not fit would leave the live one half changed
        _load(self.context, *self._files)
        return True

    async def watch(self) -> None:
        """Reload whenever the files change; runs until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                if self.reload():
                    _log.info("certificate_reloaded file=%s", self._files[0])
            except ConfigError as exc:
                _log.warning("certificate_kept reason=%s", exc)

    def _look(self) -> _Version:
        try:
            found = [path.stat() for path in self._files]
        except OSError as exc:
            raise ConfigError(f"cannot read {exc.filename}: {exc.strerror}") from exc
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found)


@asynccontextmanager
async def reloading(
    certificate_file: Path | None, private_key_file: Path | None
) -> AsyncIterator[ssl.SSLContext | None]:
    """Yield a context that follows its files while this one is open; None without files.

    Raises:
        ConfigError: See `ReloadedCertificate`.
    """
    if certificate_file is None or private_key_file is None:
        yield None
        return
    certificate = ReloadedCertificate(certificate_file, private_key_file)
    async with keeping([certificate.watch()]):
        yield certificate.context


def _context(certificate_file: Path, private_key_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    _load(context, certificate_file, private_key_file)
    return context


def _load(context: ssl.SSLContext, certificate_file: Path, private_key_file: Path) -> None:
    try:
        context.load_cert_chain(certificate_file, private_key_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"cannot use certificate {certificate_file} with key {private_key_file}: {exc}",
            hint="both in PEM, the leaf first, the key without a passphrase",
        ) from exc
