# SPDX-License-Identifier: MIT
"""`eth_cancelBundle`: empties a signer's replacement slot."""

from typing import Final

import msgspec

from buildernet.ethereum.keccak import compute_keccak256
from buildernet.orderflow_proxy.order import OrderKind, Replacement
from buildernet.orderflow_proxy.orders.errors import OrderParamsError, OrderRuleError
from buildernet.orderflow_proxy.orders.parsed import (
    OrderRequest,
    ParsedOrder,
    compute_order_key,
)
from buildernet.orderflow_proxy.orders.wire import decode_param, read_address, read_uuid

METHOD: Final = "eth_cancelBundle"


class CancelBundle(msgspec.Struct, frozen=True, rename="camel"):
    """The parameter as it travels; both members always stand in it."""

    replacement_uuid: str
    signing_address: str | None = None


_DECODER: Final = msgspec.json.Decoder(CancelBundle)


def parse_cancel_bundle(
    param: bytes,
    request: OrderRequest,
) -> ParsedOrder:
    """Read a cancellation; a user's own address is put in.

    Raises:
        OrderParamsError: The parameter is not `{replacementUuid, signingAddress?}`.
        OrderRuleError: A user set `signingAddress`.
    """
    wire = decode_param(_DECODER, param)
    uuid = read_uuid(wire.replacement_uuid, name="replacementUuid")
    if uuid is None:
        raise OrderParamsError("replacementUuid is missing")
    named = read_address(wire.signing_address, name="signingAddress")
    if request.by_user and named is not None:
        raise OrderRuleError("signing address field should not be set")
    signer = named or request.signer
    forwarded = CancelBundle(
        replacement_uuid=str(uuid),
        signing_address=signer.hex() if request.by_user or named else None,
    )
    return ParsedOrder(
        request=request,
        method=METHOD,
        kind=OrderKind.CANCELLATION,
        params=msgspec.json.encode(forwarded),
        key=compute_order_key(METHOD, signer.raw, uuid.bytes),
        hash=compute_keccak256(uuid.bytes + signer.raw),
        signer=signer,
        target_block=None,
        replacement=Replacement(uuid, None),
        transactions=(),
        cannot_fail=True,
    )
