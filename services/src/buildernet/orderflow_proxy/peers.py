# SPDX-License-Identifier: MIT
"""The other nodes: who may send to us, and a link to each that we send to.

A new list changes only what differs. A peer that stays keeps its queue; one whose place and
certificate stay keeps its connections too. One that left loses both, and what waited is counted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from buildernet.ethereum.address import Address
from buildernet.net.pinning import PinnedPeer
from buildernet.orderflow_proxy.order import UnknownPeerError
from buildernet.orderflow_proxy.peer import Peer, PeerRefusedError
from buildernet.orderflow_proxy.sending.forms import BatchEncoder, NodeForm
from buildernet.orderflow_proxy.sending.head import ChainHead
from buildernet.orderflow_proxy.sending.link import Link
from buildernet.orderflow_proxy.sending.metrics import DeliveryMetrics, DestinationMetrics
from buildernet.orderflow_proxy.sending.pool import Target

FLASHBOTS: Final = "flashbots"
"""The name of Flashbots' own sender, which is no node."""

VerifyPeer = Callable[[Peer], Awaitable[Peer]]
"""Returns a peer as far as it is to be believed; raises PeerRefusedError when it is not at all."""

_log = logging.getLogger(__name__)


async def believe_hub(peer: Peer) -> Peer:
    """Take every entry as it is: whoever wrote the list vouches for it."""
    return peer


class PeerSet:
    """The peers of the last list."""

    def __init__(
        self,
        *,
        own: Address,
        own_name: str = "",
        flashbots: Address | None,
        encoder: BatchEncoder,
        head: ChainHead,
        metrics: DeliveryMetrics,
        connections: int,
        on_pin_mismatch: Callable[[], None] = lambda: None,
        verify: VerifyPeer = believe_hub,
    ) -> None:
        """Begin without peers.

        Args:
            own: This node's signing address: its own entry is skipped.
            own_name: This node's name at the hub; `-` counts as `_`. Empty: not known.
            flashbots: Who may send besides peers.
            encoder: Makes batches.
            head: The chain's.
            metrics: Counts.
            connections: Most of them to one peer.
            on_pin_mismatch: Called when a peer shows another certificate than the list has.
            verify: Asked about every entry of every list before it counts; remembers by itself.
        """
        self._own = own
        self._own_name = _plain_name(own_name)
        self._flashbots = flashbots
        self._encoder = encoder
        self._head = head
        self._metrics = metrics
        self._connections = connections
        self._on_pin_mismatch = on_pin_mismatch
        self._verify = verify
        self._peers: dict[str, Peer] = {}
        self._links: dict[str, Link] = {}
        self._refusals: dict[str, str] = {}
        self._names: dict[bytes, str] = {}

    @property
    def links(self) -> Mapping[str, Link]:
        """The links by the peer's name."""
        return MappingProxyType(self._links)

    def authorise(self, signer: Address) -> str:
        """Return the name of the node or infrastructure that signs with this address.

        Raises:
            UnknownPeerError: Nobody known signs with it.
        """
        if signer == self._flashbots:
            return FLASHBOTS
        name = self._names.get(signer.raw)
        if name is None:
            raise UnknownPeerError(f"{signer} signs for no node of the hub's list")
        return name

    async def apply(self, listed: Iterable[Peer]) -> bool:
        """Replace the list.

        Returns:
            Whether our own entry was in it.
        """
        found_self = False
        others: list[Peer] = []
        for peer in listed:
            if peer.address == self._own:
                found_self = True
            elif self._own_name and _plain_name(peer.name) == self._own_name:
                _log.info("own_entry_has_another_key peer=%s", peer.name)  # of an earlier start
            else:
                others.append(peer)
        believed = await asyncio.gather(*map(self._believe, others))  # one slow peer delays none
        wanted = {peer.name: peer for peer in believed if peer is not None}
        self._refusals = {p.name: why for p in others if (why := self._refusals.get(p.name))}
        for name in [*self._peers]:
            if name not in wanted:
                await self._remove(name)
        for peer in wanted.values():
            await self._set(peer)
        self._names = {p.address.raw: p.name for p in wanted.values() if p.address is not None}
        self._metrics.peers.set(len(self._links))
        return found_self

    async def close(self) -> None:
        """End every link."""
        for link in self._links.values():
            await link.close()
        self._peers, self._links, self._names = {}, {}, {}

    async def review(self) -> None:
        """Ask about the peers of the last list again: evidence ages while the hub is away."""
        await self.apply([*self._peers.values()])

    async def _believe(self, peer: Peer) -> Peer | None:
        try:
            believed = await self._verify(peer)
        except PeerRefusedError as exc:
            reason, why = exc.reason, str(exc)
        except Exception as exc:  # a defect of ours must not cost the other peers
            reason, why = "failed", f"{type(exc).__name__}: {exc}"
        else:
            if self._refusals.pop(peer.name, None) is not None:
                _log.info("peer_believed_again peer=%s", peer.name)
            return believed
        self._metrics.peers_refused.labels(reason).inc()
        if self._refusals.get(peer.name) != why:  # said once, counted each time
            _log.warning("peer_refused peer=%s reason=%s cause=%s", peer.name, reason, why)
            self._refusals[peer.name] = why
        return None

    async def _set(self, peer: Peer) -> None:
        known, self._peers[peer.name] = self._peers.get(peer.name), peer
        link = self._links.get(peer.name)
        if not peer.can_receive:
            await self._close_link(peer.name)
            if known != peer:
                _log.warning("peer_without_certificate peer=%s: nothing is sent", peer.name)
            return
        if link is None:
            self._links[peer.name] = link = self._new_link(peer)
            link.warm()
            _log.info("peer_added peer=%s host=%s port=%d", peer.name, peer.host, peer.port)
        elif known is None or _route(known) != _route(peer):
            link.retarget(_target(peer), self._form(peer))
            _log.info("peer_changed peer=%s host=%s port=%d", peer.name, peer.host, peer.port)

    async def _remove(self, name: str) -> None:
        del self._peers[name]
        _log.info("peer_removed peer=%s dropped=%d", name, await self._close_link(name))

    async def _close_link(self, name: str) -> int:
        """End a link if there is one; return how many orders waited there."""
        link = self._links.pop(name, None)
        if link is None:
            return 0
        waited = len(link.outbox)
        await link.close()
        self._metrics.left(name)
        return waited

    def _new_link(self, peer: Peer) -> Link:
        return Link(
            peer.name,
            target=_target(peer),
            form=self._form(peer),
            head=self._head,
            metrics=DestinationMetrics(self._metrics, peer.name),
            connections=self._connections,
            on_pin_mismatch=self._on_pin_mismatch,
        )

    def _form(self, peer: Peer) -> NodeForm:
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        return NodeForm(
            self._encoder,
            host=f"{host}:{peer.port}",
            on_json_rpc=lambda: _log.info("peer_speaks_json_rpc peer=%s", peer.name),
        )


def _plain_name(name: str) -> str:
    return name.replace("-", "_")


def _route(peer: Peer) -> tuple[str, int, str, bool]:
    return peer.host, peer.port, peer.certificates, peer.is_plain


def _target(peer: Peer) -> Target:
    pinned = None if peer.is_plain else PinnedPeer(peer.certificates)
    return Target(peer.host, peer.port, pinned)
