# SPDX-License-Identifier: MIT
"""The receiver ends TLS itself: 1.3 alone, and a new certificate without cutting anybody off."""

import asyncio
import ssl
from pathlib import Path

import pytest

from buildernet.base.errors import ConfigError
from buildernet.net import certificate_reload
from buildernet.net.certificate_reload import ReloadedCertificate
from buildernet.net.server import listening
from buildernet.orderflow_proxy.app import Dependencies, build_app
from buildernet.orderflow_proxy.config import ReceiverConfig
from tests.support.orderflow_nodes import Certificate, make_certificate
from tests.support.orderflow_receiver import LOOPBACK, Neighbours

REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


class Files:
    """A certificate and its key as files."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "chain.pem", folder / "key.pem"

    def put(self, made: Certificate) -> None:
        for path, text in ((self.certificate, made.pem), (self.key, made.key_pem)):
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)


def trusting(made: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=made.pem)
    context.check_hostname = False
    return context


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    return await reader.readuntil(b'"ok"}')


async def test_a_new_certificate_serves_new_connections_and_old_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(certificate_reload, "POLL_S", 0.01)
    files, first, second = Files(tmp_path), make_certificate(), make_certificate()
    files.put(first)
    served = ReloadedCertificate(files.certificate, files.key)
    near = Neighbours()
    app = build_app(ReceiverConfig(), Dependencies(near, near, near)).user
    async with listening(app, LOOPBACK, tls=served.context) as address:
        watching = asyncio.create_task(served.watch())
        old = await asyncio.open_connection("127.0.0.1", address.port, ssl=trusting(first))
        assert await ask(*old)
        assert old[1].get_extra_info("ssl_object").version() == "TLSv1.3"
        files.put(second)
        async with asyncio.timeout(10):
            while True:
                try:
                    new = await asyncio.open_connection(
                        "127.0.0.1", address.port, ssl=trusting(second)
                    )
                    break
                except ssl.SSLError:
                    pass
        assert await ask(*new)
        assert await ask(*old)
        watching.cancel()
        for _, writer in (old, new):
            writer.close()
            await writer.wait_closed()


async def test_tls_1_2_is_refused(tmp_path):
    files, made = Files(tmp_path), make_certificate()
    files.put(made)
    served = ReloadedCertificate(files.certificate, files.key)
    near = Neighbours()
    app = build_app(ReceiverConfig(), Dependencies(near, near, near)).system
    async with listening(app, LOOPBACK, tls=served.context) as address:
        old = trusting(made)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await asyncio.open_connection("127.0.0.1", address.port, ssl=old)


def test_a_pair_that_does_not_fit_is_refused_and_the_old_one_stays(tmp_path):
    files, made = Files(tmp_path), make_certificate()
    files.put(made)
    served = ReloadedCertificate(files.certificate, files.key)
    assert served.reload() is False
    files.key.write_text(make_certificate().key_pem)
    with pytest.raises(ConfigError, match="cannot use certificate"):
        served.reload()
    files.put(made)
    assert served.reload() is True
    files.key.unlink()
    with pytest.raises(ConfigError, match="cannot read"):
        served.reload()
