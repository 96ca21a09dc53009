# SPDX-License-Identifier: MIT
"""What the methods take besides their parameter, and what each makes of it."""

from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import TransactionFormatError, TransactionRuleError
from buildernet.ethereum.transaction import SenderCache, Transaction, decode_transaction
from buildernet.ethereum.validation import MAINNET_CHAIN_ID, validate_transaction
from buildernet.orderflow_proxy.order import (
    ORDER_KEY_BYTES,
    Order,
    OrderKind,
    OrderPriority,
    OrderSource,
    Replacement,
)
from buildernet.orderflow_proxy.orders.errors import OrderRuleError
from buildernet.orderflow_proxy.orders.wire import read_bytes

_KEY_DOMAIN: Final = b"buildernet order"
"""Personalises the hash, so that a key equals no other digest of the same bytes (16 bytes)."""


class OrderRequest(msgspec.Struct, frozen=True):
    """Who sent a request, established by its signature, and when it came."""

    source: OrderSource
    signer: Address
    """Whose key signed the request: the user's, the peer's or Flashbots'."""
    peer: str
    """The peer's name, `flashbots`, or `user-request`."""
    received_at_us: int
    """Unix time in microseconds."""

    @property
    def by_user(self) -> bool:
        """Whether it came in on the user side."""
        return self.source is OrderSource.USER


class ParsedOrder(msgspec.Struct, frozen=True):
    """An order that keeps every rule, before somebody decides how urgent it is."""

    request: OrderRequest
    method: str
    kind: OrderKind
    params: bytes
    key: bytes
    hash: bytes
    signer: Address
    """As in `Order`."""
    target_block: int | None
    replacement: Replacement | None
    transactions: tuple[Transaction, ...]
    """Decoded and validated; a nested bundle's in their place."""
    cannot_fail: bool
    """Whether every transaction may revert without spoiling the order (a lone one may)."""

    def to_order(self, priority: OrderPriority) -> Order:
        """Return the order that is handed on."""
        return Order(
            method=self.method,
            kind=self.kind,
            params=self.params,
            key=self.key,
            hash=self.hash,
            signer=self.signer,
            source=self.request.source,
            peer=self.request.peer,
            priority=priority,
            target_block=self.target_block,
            replacement=self.replacement,
            received_at_us=self.request.received_at_us,
        )


class TransactionReader:
    """Decodes and validates the transactions of one chain."""

    __slots__ = ("_chain_id", "_senders")

    def __init__(
        self, *, chain_id: int = MAINNET_CHAIN_ID, senders: SenderCache | None = None
    ) -> None:
        self._chain_id = chain_id
        self._senders = SenderCache() if senders is None else senders

    def read(self, text: str, *, name: str) -> Transaction:
        """Return the transaction of a hexadecimal text.

        Raises:
            OrderParamsError: The text is not hexadecimal.
            OrderRuleError: Its bytes are no transaction, or none that a block may hold.
        """
        try:
            transaction = decode_transaction(read_bytes(text, name=name), senders=self._senders)
            validate_transaction(transaction, chain_id=self._chain_id)
        except (TransactionFormatError, TransactionRuleError) as exc:
            raise OrderRuleError(f"{name}: {exc}") from exc
        return transaction


def compute_order_key(method: str, *parts: object) -> bytes:
    """Return the 16 bytes by which duplicates are known.

    The parts are packed with their types and lengths, so different parts never give the same
    bytes, and hashed with BLAKE2b, so nobody can make two orders that collide.
    """
    packed = msgspec.msgpack.encode((method, parts))
    return blake2b(packed, digest_size=ORDER_KEY_BYTES, person=_KEY_DOMAIN).digest()


def make_replacement(uuid: UUID | None, nonce: int | None) -> Replacement | None:
    """Return the slot that an order names, if it names one."""
    return None if uuid is None else Replacement(uuid, nonce)
