# SPDX-License-Identifier: MIT
"""The client's side of both protocols: a connection whose other end is judged before HTTP begins.

Protocol `auto` tries B and, where the server does not speak it, A on a second connection; what
worked is tried first the next time. Both give the same proof, so being pushed from one to the
other gains an attacker nothing.
"""

import asyncio
import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from buildernet.attested_proxy import protocol_a, protocol_b
from buildernet.attested_proxy.accept import issue_extension, issue_frame, read_frame
from buildernet.attested_proxy.certificate import Identity
from buildernet.attested_proxy.errors import AttestedTlsError, BusyError
from buildernet.attested_proxy.evidence import Issuer, Peer, Workers
from buildernet.attested_proxy.judge import Judge
from buildernet.attested_proxy.server_certificate import CertificateDemand
from buildernet.base.errors import BuildernetError
from buildernet.net.errors import TlsError
from buildernet.net.tls import TlsChannel, new_context


class WireProtocol(StrEnum):
    """Which protocol a client speaks."""

    AUTO = "auto"
    A = "a"
    B = "b"
    B_HTTP1 = "b+http/1.1"
    B_HTTP2 = "b+h2"

    @property
    def offered(self) -> tuple[bytes, ...]:
        """ALPN identifiers of protocol B."""
        if self is WireProtocol.B_HTTP1:
            return (protocol_b.ALPN_HTTP1, protocol_b.ALPN_PLAIN)
        return (protocol_b.ALPN_HTTP2,) if self is WireProtocol.B_HTTP2 else protocol_b.ALPN


class NotSpokenError(AttestedTlsError):
    """The server does not speak the protocol that was tried."""

    reason = "not_spoken"


class Dialler:
    """Makes attested connections to one server."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        judge: Judge,
        issuer: Issuer | None,
        workers: Workers,
        protocol: WireProtocol,
        identity: Identity | None = None,
        demand: CertificateDemand | None = None,
        source_address: str = "",
        timeout_s: float,
    ) -> None:
        """Prepare to connect.

        Args:
            host: Name or IP address of the server.
            port: Its TCP port.
            judge: Decides about the server.
            issuer: Makes our evidence; None offers none.
            workers: Run the judge, and OpenSSL while it waits for our evidence.
            protocol: What to speak.
            identity: Our certificate in protocol B; None presents none.
            demand: What the server's certificate must be, which only protocol B can show; None:
                the judge alone decides.
            source_address: IP address of ours to connect from; empty: the system chooses.
            timeout_s: For a connection with its handshake and evidence.
        """
        self._address = (host, port)
        self._judge = judge
        self._issuer = issuer
        self._workers = workers
        self._identity = identity
        self._demand = demand
        self._context_b: SSL.Context | None = None
        self._source = (source_address, 0) if source_address else None
        self._timeout_s = timeout_s
        self._order: list[WireProtocol] = [protocol]
        if protocol is WireProtocol.AUTO:
            self._order = [WireProtocol.B] if demand else [WireProtocol.B, WireProtocol.A]

    async def dial(self) -> tuple[TlsChannel, Peer]:
        """Connect and judge the server.

        Raises:
            BuildernetError: It cannot be reached, does not follow the protocol, or is refused.
        """
        for tried in tuple(self._order):
            try:
                channel, peer = await self._dial_one(tried)
            except NotSpokenError:
                if tried is self._order[-1]:
                    raise
                continue
            self._order.remove(tried)
            self._order.insert(0, tried)
            return channel, peer
        raise AssertionError("an order of protocols is never empty")

    async def _dial_one(self, protocol: WireProtocol) -> tuple[TlsChannel, Peer]:
        channel: TlsChannel | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                loop = asyncio.get_running_loop()
                _, channel = await loop.create_connection(
                    TlsChannel, *self._address, local_addr=self._source
                )
                if protocol is WireProtocol.A:
                    return channel, await self._speak_a(channel)
                return channel, await self._speak_b(channel, protocol.offered)
        except BaseException as exc:
            if channel is not None:
                channel.abort()
            where = f"{self._address[0]}:{self._address[1]}"
            if isinstance(exc, TimeoutError):
                raise TlsError(f"{where}: no attested connection in {self._timeout_s} s") from exc
            if isinstance(exc, OSError):
                raise TlsError(f"cannot connect to {where}: {exc.strerror or exc}") from exc
            raise

    async def _speak_a(self, channel: TlsChannel) -> Peer:
        nonce = protocol_a.new_nonce()
        context = new_context(server=False)
        answer = _Answer(self._issuer, asyncio.get_running_loop(), self._timeout_s)
        context.set_verify(SSL.VERIFY_PEER, answer.on_certificate)
        tls = SSL.Connection(context, None)
        tls.set_connect_state()
        tls.set_tlsext_host_name(protocol_a.encode_nonce(nonce).encode())
        # In a thread: OpenSSL waits inside the callback until our evidence is made.
        step = functools.partial(self._workers.run, tls.do_handshake)
        try:
            await channel.handshake(tls, step=step if self._issuer is not None else None)
        except TlsError:
            answer.raise_error()
            raise
        chain = channel.peer_chain()
        return await self._workers.run(
            lambda: self._judge.judge_a(chain, nonce, address=channel.peer_address)
        )

    def _new_context_b(self, offered: Sequence[bytes]) -> SSL.Context:
        context = new_context(server=False)
        context.set_alpn_protos(list(offered))
        context.set_verify(SSL.VERIFY_NONE)
        if self._demand is not None:
            self._demand.prepare(context)
        if self._identity is not None:
            context.use_privatekey(self._identity.key)  # type: ignore[arg-type]  # as in accept
            context.use_certificate(self._identity.leaf)
        return context

    async def _speak_b(self, channel: TlsChannel, offered: Sequence[bytes]) -> Peer:
        if self._context_b is None:
            self._context_b = self._new_context_b(offered)
        tls = SSL.Connection(self._context_b, None)
        tls.set_connect_state()
        check = None if self._demand is None else self._demand.watch(tls)
        try:
            await channel.handshake(tls)
        except TlsError as exc:
            if check is not None:
                check.raise_error()
            raise NotSpokenError(f"server refuses protocol B: {exc}") from exc
        if check is not None:
            check.require()
        if channel.protocol_id not in offered:
            raise NotSpokenError("server does not speak flashbots-ratls/1")
        exporter = channel.export(protocol_b.EXPORTER_LABEL, protocol_b.EXPORTER_BYTES)
        kind, evidence = await read_frame(channel)
        theirs = protocol_b.report_input(channel.peer_chain()[0], exporter)
        peer = await self._workers.run(
            lambda: self._judge.judge_b(kind, evidence, theirs, address=channel.peer_address)
        )
        own_leaf = None if self._identity is None else self._identity.leaf
        own = protocol_b.report_input(own_leaf, exporter)
        channel.write(await issue_frame(self._issuer, own))
        return peer


class _Answer:
    """Answers a server's demand for a certificate in protocol A, inside OpenSSL's callback."""

    def __init__(
        self, issuer: Issuer | None, loop: asyncio.AbstractEventLoop, timeout_s: float
    ) -> None:
        self._issuer = issuer
        self._loop = loop
        self._timeout_s = timeout_s
        self._answered = False
        self._error: BuildernetError | None = None

    def on_certificate(
        self, tls: SSL.Connection, _certificate: object, _error: int, _depth: int, _ok: int
    ) -> bool:
        """Read the server's nonce and install our certificate; True lets the handshake go on.

        Called with the server's certificate, which TLS 1.3 sends after its demand. OpenSSL calls it
        once for each thing it finds wrong with a self-signed chain.
        """
        if self._answered:
            return True
        self._answered = True
        names = [name.get_components() for name in tls.get_client_ca_list()]
        if not names:
            return True
        try:
            nonce = protocol_a.parse_authorities(names)
            key, certificate = self._make(nonce)
        except BuildernetError as exc:
            self._error = exc
            return False
        tls.use_certificate(certificate)
        tls.use_privatekey(key)
        return True

    def raise_error(self) -> None:
        """Raise what made the callback end the handshake, if it did."""
        if self._error is not None:
            raise self._error

    def _make(self, nonce: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        extension = None
        if self._issuer is not None:  # then this is not the loop's thread
            work = issue_extension(self._issuer, key.public_key(), nonce)
            waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
            try:
                extension = waiting.result(self._timeout_s)
            except TimeoutError as exc:
                waiting.cancel()
                raise BusyError(f"no evidence of our own in {self._timeout_s} s") from exc
        certificate = protocol_a.build_certificate(key, now=datetime.now(UTC), extension=extension)
        return key, certificate
