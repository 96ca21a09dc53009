# SPDX-License-Identifier: MIT
"""`eth_sendRawTransaction`: one hexadecimal text."""

from typing import Final

import msgspec

from buildernet.orderflow_proxy.order import OrderKind
from buildernet.orderflow_proxy.orders.parsed import (
    OrderRequest,
    ParsedOrder,
    TransactionReader,
    compute_order_key,
)
from buildernet.orderflow_proxy.orders.wire import decode_param, encode_hex

METHOD: Final = "eth_sendRawTransaction"

_DECODER: Final = msgspec.json.Decoder(str)


def parse_send_raw_transaction(
    param: bytes, request: OrderRequest, transactions: TransactionReader
) -> ParsedOrder:
    """Read one transaction.

    Its key leaves the signer out: whoever sends it, the same transaction has the same effect, and a
    peer forwards it under its own signature.

    Raises:
        OrderParamsError: The parameter is no hexadecimal text.
        OrderRuleError: It is no transaction that a block may hold.
    """
    transaction = transactions.read(decode_param(_DECODER, param), name="transaction")
    return ParsedOrder(
        request=request,
        method=METHOD,
        kind=OrderKind.TRANSACTION,
        params=b'"%b"' % encode_hex(transaction.raw).encode(),
        key=compute_order_key(METHOD, transaction.hash),
        hash=transaction.hash,
        signer=request.signer,
        target_block=None,
        replacement=None,
        transactions=(transaction,),
        cannot_fail=True,
    )
