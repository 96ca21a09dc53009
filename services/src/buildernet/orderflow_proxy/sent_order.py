# SPDX-License-Identifier: MIT
"""Orders as the sender takes them: from infrastructure that is trusted, so barely looked at.

What only the nodes can decide (transactions, duplicates, limits) is left to them. Read is what
delivery needs: which block, which replacement slot.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from buildernet.ethereum.address import ADDRESS_BYTES, Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.net.jsonrpc import InvalidParamsError, unknown_method
from buildernet.orderflow_proxy.order import (
    ORDER_KEY_BYTES,
    Order,
    OrderKind,
    OrderPriority,
    OrderSource,
    Replacement,
)

DEFAULT_VERSION: Final = "v1"
"""What the Go sender sets when a bundle names none: the system side insists on one."""

_KINDS: Final[Mapping[str, tuple[OrderKind, type]]] = {
    "eth_sendBundle": (OrderKind.BUNDLE, dict),
    "mev_sendBundle": (OrderKind.MEV_BUNDLE, dict),
    "eth_cancelBundle": (OrderKind.CANCELLATION, dict),
    "eth_sendRawTransaction": (OrderKind.TRANSACTION, str),
    "bid_subsidiseBlock": (OrderKind.SUBSIDY, int),
}
_NOBODY: Final = Address(bytes(ADDRESS_BYTES))
_MAX_BLOCK: Final = 1 << 63
_TIMES: Final = ("minTimestamp", "maxTimestamp")


def parse_sent(method: str, param: bytes, *, priority: OrderPriority, received_at_us: int) -> Order:
    """Read one order.

    Args:
        method: Of JSON-RPC.
        param: JSON of its parameter.
        priority: The class it is sent with.
        received_at_us: Unix time.

    Raises:
        MethodNotFoundError: Another method.
        InvalidParamsError: Another shape.
    """
    if method not in _KINDS:
        raise unknown_method(method)
    kind, shape = _KINDS[method]
    # Any: the method's own shape; only the fields read below matter.
    value: Any
    try:
        value = msgspec.json.decode(param)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidParamsError("Invalid params: no JSON") from exc
    if type(value) is not shape:
        raise InvalidParamsError(f"Invalid params: {method} takes another type")
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    if method == "eth_sendBundle":
        for name in _TIMES:
            if fields.get(name) == 0:
                del fields[name]
        if not fields.get("version"):  # null and "" are refused by every node
            fields["version"] = DEFAULT_VERSION
        param = msgspec.json.encode(fields)
    replacement = _read(_replacement, fields)
    if kind is OrderKind.BUNDLE and replacement is not None and not fields.get("txs"):
        kind = OrderKind.CANCELLATION
    digest = hashlib.sha256(method.encode() + b"\0" + param).digest()
    return Order(
        method=method,
        kind=kind,
        params=param,
        key=digest[:ORDER_KEY_BYTES],
        hash=digest,
        signer=_read(_signer, fields),
        source=OrderSource.USER,
        peer="sender",
        priority=priority,
        target_block=_read(_block, fields),
        replacement=replacement,
        received_at_us=received_at_us,
    )


# Any: whatever one of the readers below returns.
def _read(reader: Callable[[Mapping[str, Any]], Any], fields: Mapping[str, Any]) -> Any:
    try:
        return reader(fields)
    except (ValueError, TypeError, AttributeError, AddressFormatError) as exc:
        raise InvalidParamsError(f"Invalid params: {str(exc)[:100]}") from exc


def _replacement(fields: Mapping[str, Any]) -> Replacement | None:
    text = fields.get("replacementUuid") or fields.get("uuid")
    if not text:
        return None
    metadata = fields.get("metadata") or {}
    nonce = fields.get("replacementNonce", metadata.get("replacementNonce"))
    if nonce is not None and type(nonce) is not int:
        raise ValueError("replacementNonce is no number")
    return Replacement(UUID(text), nonce)


def _signer(fields: Mapping[str, Any]) -> Address:
    text = fields.get("signingAddress") or (fields.get("metadata") or {}).get("signer")
    return Address.parse(text) if text else _NOBODY


def _block(fields: Mapping[str, Any]) -> int | None:
    inclusion = fields.get("inclusion") or {}
    text = fields.get("blockNumber") or inclusion.get("maxBlock") or inclusion.get("block")
    if not text or text == "0x":
        return None
    if not text.startswith("0x"):
        raise ValueError("the block is no hexadecimal number")
    block = int(text, 16)
    if not 0 <= block < _MAX_BLOCK:
        raise ValueError("the block is out of range")
    return block or None
