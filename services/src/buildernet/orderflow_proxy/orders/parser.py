# SPDX-License-Identifier: MIT
"""Turns a verified JSON-RPC request into an order: one parser per method."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from buildernet.ethereum.transaction import SenderCache
from buildernet.ethereum.validation import MAINNET_CHAIN_ID
from buildernet.orderflow_proxy.orders import (
    cancel_bundle,
    send_bundle,
    send_mev_bundle,
    send_raw_transaction,
    subsidise_block,
)
from buildernet.orderflow_proxy.orders.errors import OrderParamsError, UnknownMethodError
from buildernet.orderflow_proxy.orders.parsed import OrderRequest, ParsedOrder, TransactionReader

METHODS: Final = (
    send_bundle.METHOD,
    send_raw_transaction.METHOD,
    cancel_bundle.METHOD,
    send_mev_bundle.METHOD,
    subsidise_block.METHOD,
)
"""Every method that carries an order."""

_MAX_CANCELLATION_BYTES: Final = 128 * 1024
"""An empty bundle whose every list is full has 100 kB; looking through it takes 0.1 ms."""

_Parse = Callable[[bytes, OrderRequest], ParsedOrder]


class _Cancels(msgspec.Struct):
    """What tells a cancellation from other orders; the lists' elements are not looked at."""

    txs: list[msgspec.Raw] | None = None
    body: list[msgspec.Raw] | None = None


_CANCELS: Final = msgspec.json.Decoder(_Cancels)


def is_cancellation(method: str, params: Sequence[bytes]) -> bool:
    """Return whether an order can be nothing but a cancellation, without decoding transactions.

    For orders that would be refused unless they cancel: what it says yes to is still parsed, and
    then is a cancellation or refused.
    """
    if method == cancel_bundle.METHOD:
        return True
    if method not in (send_bundle.METHOD, send_mev_bundle.METHOD):
        return False
    if len(params) != 1 or len(params[0]) > _MAX_CANCELLATION_BYTES:
        return False
    try:
        wire = _CANCELS.decode(params[0])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return not (wire.txs if method == send_bundle.METHOD else wire.body)


class OrderParser:
    """Parses the orders of one node; holds what it remembers between them, all of it bounded."""

    __slots__ = ("_methods",)

    def __init__(
        self, *, chain_id: int = MAINNET_CHAIN_ID, senders: SenderCache | None = None
    ) -> None:
        reader = TransactionReader(chain_id=chain_id, senders=senders)
        self._methods: dict[str, _Parse] = {
            send_bundle.METHOD: lambda param, request: send_bundle.parse_send_bundle(
                param, request, reader
            ),
            send_raw_transaction.METHOD: lambda param, request: (
                send_raw_transaction.parse_send_raw_transaction(param, request, reader)
            ),
            cancel_bundle.METHOD: cancel_bundle.parse_cancel_bundle,
            send_mev_bundle.METHOD: lambda param, request: send_mev_bundle.parse_send_mev_bundle(
                param, request, reader
            ),
            subsidise_block.METHOD: subsidise_block.parse_subsidise_block,
        }

    def parse(self, method: str, params: Sequence[bytes], request: OrderRequest) -> ParsedOrder:
        """Read, complete, validate and serialise an order.

        Args:
            method: The JSON-RPC method.
            params: The JSON text of each parameter (`bytes(msgspec.Raw)`); there must be one.
            request: Who sent it, established by its signature.

        Raises:
            UnknownMethodError: The method carries no order.
            OrderParamsError: The parameters are not of the method's shape, types and sizes.
            OrderRuleError: A rule of the method or of Ethereum is broken.
        """
        parse = self._methods.get(method)
        if parse is None:
            raise UnknownMethodError(f"Method not found: {method[:80]}")
        if len(params) != 1:
            raise OrderParamsError(f"{method} takes an array of one parameter")
        return parse(params[0], request)
