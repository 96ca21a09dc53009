# SPDX-License-Identifier: MIT
"""The server's side of both protocols: from the first byte to a peer whose evidence is judged.

The ClientHello decides. An ALPN identifier of protocol B means B. A nonce as server name means A:
a certificate is made for this connection. Anything else is an ordinary TLS client (curl), which
gets the node's certificate and no evidence.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from buildernet.attested_proxy import protocol_a, protocol_b
from buildernet.attested_proxy.certificate import Identity
from buildernet.attested_proxy.errors import PeerRefusedError
from buildernet.attested_proxy.evidence import AttestationType, Issuer, Peer, Workers
from buildernet.attested_proxy.judge import Judge
from buildernet.net.tls import TlsChannel, new_context, select_protocol

_HTTP1: Final = b"http/1.1"


class Acceptor:
    """Leads connections of clients through the handshake."""

    def __init__(
        self,
        *,
        identity: Callable[[], Identity],
        issuer: Issuer | None,
        judge: Judge,
        workers: Workers,
    ) -> None:
        """Prepare to accept.

        Args:
            identity: Gives the node's certificate for ordinary clients and protocol B.
            issuer: Makes this node's evidence; None offers none.
            judge: Decides about the clients.
            workers: Run the judge.
        """
        self._identity = identity
        self._issuer = issuer
        self._judge = judge
        self._workers = workers
        self._key = ec.generate_private_key(ec.SECP256R1())

    async def accept(self, channel: TlsChannel) -> Peer:
        """Finish the handshake of either protocol.

        Raises:
            BuildernetError: The client violates its protocol, or its evidence is refused.
        """
        hello = await channel.read_client_hello()
        chosen = protocol_b.choose(hello.protocols)
        if chosen is not None:
            return await self._accept_b(channel, chosen)
        nonce = protocol_a.parse_server_name(hello.server_name)
        # The reference answers no ALPN; ordinary clients like to hear what they get.
        return await self._accept_a(channel, nonce, _HTTP1 if _HTTP1 in hello.protocols else None)

    async def _accept_a(
        self, channel: TlsChannel, nonce: bytes | None, protocol: bytes | None
    ) -> Peer:
        if nonce is None and self._judge.demands_evidence:
            raise PeerRefusedError("client offers neither protocol, so no evidence")
        context = new_context(server=True)
        select_protocol(context, protocol)
        if nonce is None:
            _present(context, self._identity())
        else:
            context.use_privatekey(self._key)
            context.use_certificate(await self._certificate(nonce))
        server_nonce = protocol_a.new_nonce()
        if self._judge.demands_evidence:
            authority = protocol_a.build_certificate(
                self._key, now=_now(), common_name=protocol_a.encode_nonce(server_nonce)
            )
            context.add_client_ca(authority)
            demand = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(demand, _judged_later)
        await channel.handshake(_accepting(context))
        if not self._judge.demands_evidence:
            return Peer(address=channel.peer_address)
        chain = channel.peer_chain()
        return await self._workers.run(
            lambda: self._judge.judge_a(chain, server_nonce, address=channel.peer_address)
        )

    async def _accept_b(self, channel: TlsChannel, chosen: bytes) -> Peer:
        identity = self._identity()
        context = new_context(server=True)
        select_protocol(context, chosen)
        _present(context, identity)
        if self._judge.demands_evidence:
            context.set_verify(SSL.VERIFY_PEER, _judged_later)  # a certificate is optional
        await channel.handshake(_accepting(context))
        exporter = channel.export(protocol_b.EXPORTER_LABEL, protocol_b.EXPORTER_BYTES)
        own = protocol_b.report_input(identity.leaf, exporter)
        channel.write(await issue_frame(self._issuer, own))
        kind, evidence = await read_frame(channel)
        chain = channel.peer_chain()
        theirs = protocol_b.report_input(chain[0] if chain else None, exporter)
        return await self._workers.run(
            lambda: self._judge.judge_b(kind, evidence, theirs, address=channel.peer_address)
        )

    async def _certificate(self, nonce: bytes) -> x509.Certificate:
        extension = await issue_extension(self._issuer, self._key.public_key(), nonce)
        return protocol_a.build_certificate(self._key, now=_now(), extension=extension)


async def issue_extension(
    issuer: Issuer | None, key: ec.EllipticCurvePublicKey, nonce: bytes
) -> tuple[x509.ObjectIdentifier, bytes] | None:
    """Make the certificate extension of protocol A."""
    if issuer is None:
        return None
    binding = protocol_a.Binding.of(key, nonce)
    document = await issuer.issue_document(binding.user_data, binding.extra_data)
    return protocol_a.oid_of(issuer.attestation_type), document


async def issue_frame(issuer: Issuer | None, report_input: bytes) -> bytes:
    """Make the frame of protocol B."""
    if issuer is None:
        return protocol_b.encode_frame(AttestationType.NONE, b"")
    return protocol_b.encode_frame(issuer.attestation_type, await issuer.issue(report_input))


async def read_frame(channel: TlsChannel) -> tuple[AttestationType, bytes]:
    """Read the peer's frame of protocol B.

    Raises:
        DocumentError: It is malformed or too large.
        TlsError: The peer closes before it has sent it.
    """
    size = int.from_bytes(await channel.read_exactly(protocol_b.LENGTH_BYTES))
    protocol_b.require_frame_size(size)
    return protocol_b.parse_frame(await channel.read_exactly(size))


def _present(context: SSL.Context, identity: Identity) -> None:
    context.use_privatekey(identity.key)  # type: ignore[arg-type]  # its type lists fewer kinds
    context.use_certificate(identity.leaf)
    for issuer in identity.chain[1:]:
        context.add_extra_chain_cert(issuer)


def _accepting(context: SSL.Context) -> SSL.Connection:
    tls = SSL.Connection(context, None)
    tls.set_accept_state()
    return tls


def _judged_later(*_: object) -> bool:
    """Let OpenSSL pass any chain: the evidence decides, after the handshake."""
    return True


def _now() -> datetime:
    return datetime.now(UTC)
