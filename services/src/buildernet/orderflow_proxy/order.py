# SPDX-License-Identifier: MIT
"""One order, as every part of the proxy hands it on, and what those parts promise one another.

The receiver makes an `Order` of a request it has verified, parsed and validated
(`orderflow_proxy.orders`), then hands it to a `Delivery` (builder and peers) and a `Recorder`
(archive). None of the three protocols is asynchronous: each puts the order into a bounded queue of
its own or refuses it at once, so that a slow destination never holds a request.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

import msgspec

from buildernet.base.errors import BuildernetError
from buildernet.ethereum.address import Address

ORDER_KEY_BYTES: Final = 16


class OrderKind(StrEnum):
    """What an order asks for, whatever method carried it."""

    BUNDLE = "bundle"
    TRANSACTION = "transaction"
    CANCELLATION = "cancellation"
    """`eth_cancelBundle`, and a bundle without transactions that names a replacement uuid."""
    MEV_BUNDLE = "mev_bundle"
    SUBSIDY = "subsidy"


class OrderSource(StrEnum):
    """Who sent an order to this node."""

    USER = "user"
    PEER = "peer"
    FLASHBOTS = "flashbots"


class OrderPriority(StrEnum):
    """The class of the queues that an order waits in; the value stands in X-BuilderNet-Priority."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Replacement:
    """The slot of a signer that an order fills, replaces or empties."""

    uuid: UUID
    nonce: int | None
    """The highest one wins; None where the order carries none (`eth_cancelBundle`)."""


class Order(msgspec.Struct, frozen=True):
    """One accepted order."""

    method: str
    """The JSON-RPC method that carries it onwards, e.g. `eth_sendBundle`."""
    kind: OrderKind
    params: bytes
    """The JSON text of the one parameter exactly as it is forwarded; serialised once."""
    key: bytes
    """16 bytes; equal for orders that are duplicates of one another. The signer is part of it."""
    hash: bytes
    """32 bytes: what the API returns as `bundleHash` or transaction hash."""
    signer: Address
    """Who asked for it: the user, or the user that a peer names as `signingAddress`."""
    source: OrderSource
    peer: str
    """The peer that sent it, `flashbots`, or `user-request`."""
    priority: OrderPriority
    target_block: int | None
    """The (last) block that it may enter, or None for the next one."""
    replacement: Replacement | None
    received_at_us: int
    """Unix time in microseconds."""

    def encode_request(self) -> bytes:
        """Return the JSON-RPC request that forwards this order.

        The envelope's members stand in the Go proxy's order, with id 0. The method needs no
        escaping: it is one of the five that the proxy takes.
        """
        return b'{"method":"%b","params":[%b],"id":0,"jsonrpc":"2.0"}' % (
            self.method.encode(),
            self.params,
        )


class OrderRefusedError(BuildernetError):
    """An order is refused; the message goes to whoever sent it."""


class DeliveryFullError(OrderRefusedError):
    """The local builder's queue for orders of this priority is full; nothing was queued."""


class NotReadyError(BuildernetError):
    """The node cannot take orders now; the message names what is missing."""


class ArchiveFullError(OrderRefusedError):
    """The archive is behind by more than the spool may hold; the order must not be accepted."""


class UnknownPeerError(OrderRefusedError):
    """A request to the system side is signed by nobody that may send there."""


class Delivery(Protocol):
    """Takes an order to the local builder and, when a user sent it, to every peer."""

    def submit(self, order: Order) -> None:
        """Queue the order; returns at once.

        A full queue of a single peer is that peer's loss: counted there, never raised here.

        Raises:
            DeliveryFullError: The builder's queue is full. Nothing was queued anywhere, so that the
                sender can try again.
        """

    def check_ready(self) -> None:
        """Look whether orders would reach the builder.

        Raises:
            NotReadyError: The builder does not answer or is not ready.
        """


class Recorder(Protocol):
    """Feeds the archive."""

    def check_room(self) -> None:
        """Look whether one more order can be kept, before it is accepted.

        Raises:
            ArchiveFullError: It would be lost.
        """

    def record(self, order: Order) -> None:
        """Keep the order for the archive; returns at once.

        Raises:
            ArchiveFullError: It would be lost.
        """


class Peers(Protocol):
    """Knows the other nodes, as the hub names them."""

    def authorise(self, signer: Address) -> str:
        """Return the name of the node or infrastructure that signs with this address.

        Returns:
            The peer's name, or `flashbots`.

        Raises:
            UnknownPeerError: Nobody known signs with it.
        """
