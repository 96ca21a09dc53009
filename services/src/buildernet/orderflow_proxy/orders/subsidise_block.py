# SPDX-License-Identifier: MIT
"""`bid_subsidiseBlock`: one number, from Flashbots alone."""

from typing import Final

import msgspec

from buildernet.ethereum.keccak import compute_keccak256
from buildernet.orderflow_proxy.order import OrderKind, OrderSource
from buildernet.orderflow_proxy.orders.errors import OrderParamsError, OrderRuleError
from buildernet.orderflow_proxy.orders.parsed import (
    OrderRequest,
    ParsedOrder,
    compute_order_key,
)
from buildernet.orderflow_proxy.orders.wire import decode_param, read_u64

METHOD: Final = "bid_subsidiseBlock"

_DECODER: Final = msgspec.json.Decoder(int)
_U64_BYTES: Final = 8


def parse_subsidise_block(
    param: bytes,
    request: OrderRequest,
) -> ParsedOrder:
    """Read a subsidy.

    Raises:
        OrderParamsError: The parameter is no number of 64 bits.
        OrderRuleError: It does not come from Flashbots, on the system side.
    """
    if request.by_user:
        raise OrderRuleError("subsidy can only be called on system API")
    if request.source is not OrderSource.FLASHBOTS:
        raise OrderRuleError("subsidy can only be called by Flashbots")
    value = read_u64(decode_param(_DECODER, param), name="the subsidy")
    if value is None:
        raise OrderParamsError("the subsidy is missing")
    encoded = value.to_bytes(_U64_BYTES, "little")
    return ParsedOrder(
        request=request,
        method=METHOD,
        kind=OrderKind.SUBSIDY,
        params=str(value).encode(),
        key=compute_order_key(METHOD, request.signer.raw, value),
        hash=compute_keccak256(encoded),
        signer=request.signer,
        target_block=None,
        replacement=None,
        transactions=(),
        cannot_fail=True,
    )
