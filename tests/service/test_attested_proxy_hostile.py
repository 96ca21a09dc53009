# SPDX-License-Identifier: MIT
"""Peers that are slow, silent, greedy or wrong, and that nobody else suffers from it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from aiohttp import ClientError, ClientSession
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamEnded, StreamReset
from h2.settings import SettingCodes
from OpenSSL import SSL

from buildernet.attested_proxy import protocol_a, protocol_b
from buildernet.attested_proxy.accept import read_frame
from buildernet.attested_proxy.config import Limits, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.net.errors import TlsError
from buildernet.net.tls import TlsChannel, new_context
from tests.support.attested_tls import (
    Running,
    SimulatedIssuer,
    attested_server,
    backend,
    demanding,
)
from tests.unit.net.test_client_hello import HELLO, client_hello

DEADLINE_S = 10.0
REFUSED = "attested_proxy_peers_refused_total"


def config(**limits: int) -> ServerConfig:
    return ServerConfig(serve_certificate=True, limits=Limits(**limits))


@asynccontextmanager
async def connection(
    run: Running,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server ends the connection."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await reader.read(1 << 20)
        except ConnectionError:
            return b""


async def served(run: Running) -> bool:
    """Whether an ordinary client is answered."""
    async with (
        asyncio.timeout(DEADLINE_S),
        ClientSession() as session,
        session.get(f"https://127.0.0.1:{run.port}/cert", ssl=False) as answer,
    ):
        return answer.status == 200 and b"BEGIN CERTIFICATE" in await answer.read()


async def test_silent_clients_are_cut_and_starve_nobody() -> None:
    starts = [b"", b"\x16", HELLO[:60], HELLO[:-1]]
    async with attested_server(config(handshake_timeout_s=1)) as run, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connection(run)) for _ in starts * 5]
        for (_, writer), sent in zip(silent, starts * 5, strict=True):
            writer.write(sent)
        assert await served(run)
        for reader, _ in silent:
            await closed(reader)
        assert run.metric(REFUSED, reason="timeout") == len(silent)
        assert run.metric("attested_proxy_handshakes_open") == 0


async def test_half_open_client_is_forgotten() -> None:
    async with attested_server(config(handshake_timeout_s=1)) as run:
        async with connection(run) as (reader, writer):
            writer.write(HELLO)
            writer.write_eof()
            await closed(reader)
        assert await served(run)


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" * 9]
)
async def test_what_is_not_tls_is_cut_at_once(sent: bytes) -> None:
    async with attested_server(config()) as run:
        async with connection(run) as (reader, writer):
            writer.write(sent)
            assert b"HTTP" not in await closed(reader)
        assert await served(run)


async def test_connections_of_one_address_are_limited() -> None:
    async with (
        attested_server(config(max_connections_per_address=3)) as run,
        AsyncExitStack() as stack,
    ):
        held = [await stack.enter_async_context(connection(run)) for _ in range(3)]
        async with connection(run) as (reader, _):
            assert await closed(reader) == b""
        assert run.metric(REFUSED, reason="too_many_from_address") == 1
        held[0][1].close()
        async with asyncio.timeout(DEADLINE_S):
            while True:  # until the server has seen the other end close
                with suppress(ClientError):
                    assert await served(run)
                    break


async def test_open_handshakes_are_limited() -> None:
    async with (
        attested_server(config(max_handshakes=2)) as run,
        connection(run),
        connection(run),
        connection(run) as (reader, _),
    ):
        assert await closed(reader) == b""
        assert run.metric(REFUSED, reason="too_many_handshakes") == 1


async def test_waiting_for_evidence_holds_up_only_who_asked() -> None:
    issuer = SimulatedIssuer(blocked=asyncio.Event())
    async with attested_server(config(handshake_timeout_s=1), issuer=issuer) as run:
        nonce = protocol_a.encode_nonce(protocol_a.new_nonce())
        waiting = asyncio.create_task(handshake(run, server_name=nonce))
        assert await served(run)
        with pytest.raises(TlsError):
            await waiting
        assert run.metric(REFUSED, reason="timeout") == 1
        assert issuer.issued == []


async def test_evidence_is_not_made_for_a_client_that_left() -> None:
    issuer = SimulatedIssuer(blocked=asyncio.Event())
    async with attested_server(config(), issuer=issuer) as run:
        nonce = protocol_a.encode_nonce(protocol_a.new_nonce())
        async with connection(run) as (_, writer):
            writer.write(client_hello(nonce))
            async with asyncio.timeout(DEADLINE_S):
                await issuer.asked.wait()
        async with asyncio.timeout(DEADLINE_S):
            while run.metric(REFUSED, reason="left") == 0:
                assert await served(run)
        assert issuer.blocked is not None
        issuer.blocked.set()
        assert await served(run)
        assert issuer.issued == []
        assert run.metric("attested_proxy_handshakes_open") == 0


async def handshake(
    run: Running, *, server_name: str | None = None, alpn: bytes | None = None
) -> TlsChannel:
    """Return a channel after the bare TLS handshake of a client."""
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_connection(TlsChannel, "127.0.0.1", run.port)
    context = new_context(server=False)
    if alpn is not None:
        context.set_alpn_protos([alpn])
    tls = SSL.Connection(context, None)
    tls.set_connect_state()
    if server_name is not None:
        tls.set_tlsext_host_name(server_name.encode())
    async with asyncio.timeout(DEADLINE_S):
        await channel.handshake(tls)
    return channel


async def ended(channel: TlsChannel) -> None:
    """Wait until the server closes."""
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(TlsError):
            await channel.read_exactly(1 << 20)


@pytest.mark.parametrize(
    "frame",
    [
        (1 << 31).to_bytes(4),
        (protocol_b.MAX_FRAME_BYTES + 1).to_bytes(4),
        (5).to_bytes(4) + b"\xff" * 5,
        (0).to_bytes(4),
        protocol_b.encode_frame(AttestationType.AZURE_TDX, b"{}"),
        protocol_b.encode_frame(AttestationType.DCAP_TDX, b"no evidence"),
        protocol_b.encode_frame(AttestationType.NONE, b""),
    ],
)
async def test_bad_frames_end_the_connection(frame: bytes) -> None:
    async with attested_server(config(), issuer=SimulatedIssuer(), judge=demanding()) as run:
        channel = await handshake(run, alpn=protocol_b.ALPN_PLAIN)
        channel.write(frame + b"GET /cert HTTP/1.1\r\nHost: x\r\n\r\n")
        await ended(channel)
        assert run.metric("attested_proxy_peers_accepted_total", attestation_type="dcap-tdx") == 0


async def test_client_that_never_sends_its_frame_is_cut() -> None:
    async with attested_server(config(handshake_timeout_s=1), issuer=SimulatedIssuer()) as run:
        channel = await handshake(run, alpn=protocol_b.ALPN_PLAIN)
        await ended(channel)
        assert run.metric(REFUSED, reason="timeout") == 1


async def test_evidence_of_another_session_is_refused() -> None:
    """What one connection's evidence says is worthless on the next."""
    stolen = await SimulatedIssuer().issue(bytes(64))
    async with attested_server(config(), issuer=SimulatedIssuer(), judge=demanding()) as run:
        channel = await handshake(run, alpn=protocol_b.ALPN_PLAIN)
        channel.write(protocol_b.encode_frame(AttestationType.DCAP_TDX, stolen))
        await ended(channel)
        assert run.metric(REFUSED, reason="evidence") == 1


async def test_early_flood_is_not_taken() -> None:
    async with attested_server(config(handshake_timeout_s=2), issuer=SimulatedIssuer()) as run:
        channel = await handshake(run, alpn=protocol_b.ALPN_PLAIN)
        for _ in range(64):
            channel.write(b"\0\x01" + bytes(65534))
        await ended(channel)
        assert await served(run)


async def test_large_headers_are_refused() -> None:
    async with attested_server(config()) as run:
        channel = await handshake(run)
        channel.write(b"GET /cert HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n")
        assert (await channel.read_exactly(12))[9:] == b"400"
        channel.close()


async def test_idle_connection_is_cut() -> None:
    async with attested_server(config(idle_timeout_s=1)) as run:
        channel = await handshake(run)
        await ended(channel)


async def test_old_tls_is_refused() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with attested_server(config()) as run:
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", run.port, ssl=context)
        assert await served(run)


async def test_sessions_are_never_resumed() -> None:
    """A resumed session has no certificate, so nothing in it would be attested."""

    def resumed(port: int) -> bool:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        session: ssl.SSLSession | None = None
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as raw,
                context.wrap_socket(raw, session=session) as tls,
            ):
                tls.sendall(b"GET /cert HTTP/1.0\r\n\r\n")
                assert tls.recv(15).startswith(b"HTTP/1.0 200")
                session, reused = tls.session, tls.session_reused
        return bool(reused)

    async with attested_server(config()) as run:
        assert not await asyncio.to_thread(resumed, run.port)


async def http2(run: Running) -> tuple[TlsChannel, H2Connection]:
    """Return a connection of protocol B and the state of HTTP/2 on it."""
    channel = await handshake(run, alpn=protocol_b.ALPN_HTTP2)
    await read_frame(channel)
    channel.write(protocol_b.encode_frame(AttestationType.NONE, b""))
    states = H2Connection(H2Configuration(client_side=True))
    states.initiate_connection()
    return channel, states


GET = [(":method", "GET"), (":scheme", "https"), (":authority", "node"), (":path", "/cert")]


async def test_rapid_reset_over_http2_is_cut_and_starves_nobody() -> None:
    async with attested_server(config(), issuer=SimulatedIssuer()) as run:
        channel, states = await http2(run)
        for number in range(1, 4000, 2):
            states.send_headers(number, GET, end_stream=True)
            states.reset_stream(number)
        channel.write(states.data_to_send())
        await ended(channel)
        assert await served(run)


async def test_idle_connection_of_http2_is_cut() -> None:
    async with attested_server(config(idle_timeout_s=1), issuer=SimulatedIssuer()) as run:
        channel, states = await http2(run)
        channel.write(states.data_to_send())
        await ended(channel)


async def test_reader_of_http2_that_opens_no_window_is_cut() -> None:
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}", limits=Limits(idle_timeout_s=1)),
            issuer=SimulatedIssuer(),
        ) as run,
    ):
        channel, states = await http2(run)
        states.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        states.send_headers(1, [(":method", "POST"), *GET[1:3], (":path", "/")])
        states.send_data(1, b"order", end_stream=True)
        channel.write(states.data_to_send())
        async with asyncio.timeout(DEADLINE_S):
            events: list[Event] = []
            with suppress(TlsError):  # the stream is reset, or the whole connection cut
                while not any(isinstance(event, StreamReset) for event in events):
                    events += states.receive_data(await channel.read_exactly(1))
        assert not any(isinstance(event, DataReceived) for event in events)
        channel.close()


async def test_http2_connections_are_counted_like_others() -> None:
    async with attested_server(config(max_connections=1), issuer=SimulatedIssuer()) as run:
        channel, states = await http2(run)
        states.send_headers(1, GET, end_stream=True)
        channel.write(states.data_to_send())
        async with asyncio.timeout(DEADLINE_S):
            events = states.receive_data(await channel.read_exactly(1))
            while not any(isinstance(event, StreamEnded) for event in events):
                events += states.receive_data(await channel.read_exactly(1))
        other = await handshake(run)
        await ended(other)
        channel.close()
