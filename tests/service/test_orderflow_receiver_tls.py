# SPDX-License-Identifier: MIT
"""The receiver ends TLS itself: 1.3 alone, and a new certificate without cutting anybody off."""

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest
import uvloop

from buildernet.base.errors import ConfigError
from buildernet.net import certificate_reload
from buildernet.net.address import ListenAddress
from buildernet.net.certificate_reload import ReloadedCertificate
from buildernet.net.errors import ListenError
from buildernet.net.health import livez
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import METRICS, HttpMetrics
from buildernet.net.server import bare_application, listening
from buildernet.orderflow_proxy.app import Dependencies, build_app
from buildernet.orderflow_proxy.config import ReceiverConfig
from tests.support.orderflow_nodes import Certificate, CertificateFiles, make_certificate
from tests.support.orderflow_receiver import LOOPBACK, Neighbours

REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def trusting(made: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=made.pem)
    context.check_hostname = False
    return context


def own_loopbacks() -> list[str]:
    """Of the families that this machine has."""
    found = ["127.0.0.1"]
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        found.append("::1")
    return found


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    return await reader.readuntil(b'"ok"}')


async def test_a_new_certificate_serves_new_connections_and_old_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(certificate_reload, "POLL_S", 0.01)
    files, first, second = CertificateFiles(tmp_path), make_certificate(), make_certificate()
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
    files, made = CertificateFiles(tmp_path), make_certificate()
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
    files, made = CertificateFiles(tmp_path), make_certificate()
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


def test_files_that_change_while_they_are_loaded_are_tried_again(tmp_path, monkeypatch):
    """What fits at the first look and not at the second must not end the service."""
    files = CertificateFiles(tmp_path)
    files.put(make_certificate())
    served = ReloadedCertificate(files.certificate, files.key)

    class Changing:
        def load_cert_chain(self, *_files: object) -> None:
            raise ssl.SSLError(1, "key values mismatch")

    files.put(make_certificate())
    monkeypatch.setattr(served, "context", Changing())
    with pytest.raises(ConfigError, match="cannot use certificate"):
        served.reload()


async def test_every_interface_is_that_of_both_families(tmp_path):
    files, made = CertificateFiles(tmp_path), make_certificate()
    files.put(made)
    served = ReloadedCertificate(files.certificate, files.key)
    app = bare_application(limits=ServerLimits(), metrics=HttpMetrics("test"))
    app.router.add_get("/livez", livez)
    async with listening(app, ListenAddress(None, 0), tls=served.context) as address:
        for host in own_loopbacks():
            reader, writer = await asyncio.open_connection(host, address.port, ssl=trusting(made))
            assert await ask(reader, writer)
            writer.close()


async def test_an_address_that_is_not_ours_is_told(tmp_path):
    files = CertificateFiles(tmp_path)
    files.put(make_certificate())
    served = ReloadedCertificate(files.certificate, files.key)
    app = bare_application(limits=ServerLimits(), metrics=HttpMetrics("test"))
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1"):
        async with listening(app, ListenAddress("192.0.2.1", 0), tls=served.context):
            pass


@pytest.mark.parametrize("loop_of", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_connections_before_their_handshake_are_limited_too(tmp_path, loop_of):
    """Any number could stand silent for ten seconds: asyncio shows them after the handshake."""

    async def fill_up() -> None:
        files, made = CertificateFiles(tmp_path), make_certificate()
        files.put(made)
        served = ReloadedCertificate(files.certificate, files.key)
        app = bare_application(limits=ServerLimits(max_connections=3), metrics=HttpMetrics("test"))
        app.router.add_get("/livez", livez)
        async with listening(app, LOOPBACK, tls=served.context) as address, asyncio.timeout(20):
            place = (address.host, address.port)
            good = await asyncio.open_connection(*place, ssl=trusting(made))
            silent = [await asyncio.open_connection(*place) for _ in range(2)]
            reader, refused = await asyncio.open_connection(*place)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            assert await ask(*good)
            assert app[METRICS].connections_refused._value.get() == 1
            silent[0][1].write(b"this is no TLS at all\r\n")
            await silent[0][0].read()
            for _, writer in (*silent, (None, refused)):
                writer.close()
            while True:  # the places of the silent ones
                try:
                    again = await asyncio.open_connection(*place, ssl=trusting(made))
                    break
                except (ssl.SSLError, ConnectionError):
                    pass
            assert await ask(*again)
            again[1].close()
            good[1].close()

    loop = loop_of()
    try:
        loop.run_until_complete(fill_up())
    finally:
        loop.close()
