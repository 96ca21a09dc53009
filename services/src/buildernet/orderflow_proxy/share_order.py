# SPDX-License-Identifier: MIT
"""The orders that the entries of a request to share stand for.

An entry with a method is an order. Any other describes one transaction as the public draft has it;
what it says must fit the signed bytes that come with it, and entries with one `bundle_id` are one
bundle.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from buildernet.ethereum.errors import TransactionFormatError
from buildernet.ethereum.transaction import Transaction, decode_transaction
from buildernet.orderflow_proxy.errors import ShareError
from buildernet.orderflow_proxy.share import Entry, ShareRequest, parse_quantity

_WORD: Final = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)
_MAX_ID_CHARS: Final = 66
"""`0x` and 32 bytes."""


@dataclass(frozen=True, slots=True)
class SharedOrder:
    """One order of a request."""

    indices: tuple[int, ...]
    """The entries it stands in."""
    method: str
    param: bytes
    """JSON of the method's parameter."""
    priority: str | None


def read_orders(request: ShareRequest) -> list[SharedOrder]:
    """Return the orders of a request, in the order of their first entries.

    Raises:
        ShareError: A described transaction is incomplete, or is not what was signed.
    """
    orders: list[SharedOrder] = []
    bundles: dict[str, list[tuple[int, Entry, Transaction]]] = {}
    for index, entry in enumerate(request.entries):
        if entry.method:
            orders.append(SharedOrder((index,), entry.method, bytes(entry.params), entry.priority))
            continue
        transaction = _read_transaction(entry, at=f"orderflow[{index}]")
        if entry.bundle_id is None:
            param = json.dumps("0x" + transaction.raw.hex()).encode()
            orders.append(SharedOrder((index,), "eth_sendRawTransaction", param, entry.priority))
        elif len(entry.bundle_id) > _MAX_ID_CHARS:
            raise ShareError(f"orderflow[{index}]: bundle_id is too long")
        else:
            bundles.setdefault(entry.bundle_id, []).append((index, entry, transaction))
    return orders + [_bundle(parts, request.target_block) for parts in bundles.values()]


def _bundle(parts: list[tuple[int, Entry, Transaction]], block: int) -> SharedOrder:
    param = {
        "txs": ["0x" + transaction.raw.hex() for _, _, transaction in parts],
        "blockNumber": hex(block),
        "version": "v2",
    }
    indices = tuple(index for index, _, _ in parts)
    return SharedOrder(indices, "eth_sendBundle", json.dumps(param).encode(), parts[0][1].priority)


def _read_transaction(entry: Entry, *, at: str) -> Transaction:
    """Return the signed transaction of an entry that describes one."""
    gas_price = _read_word(entry.gas_price, name=f"{at}: gas_price")
    gas_limit = parse_quantity(entry.gas_limit, name=f"{at}: gas_limit")
    if not gas_price or not gas_limit:
        raise ShareError(f"{at}: gas_price and gas_limit must not be 0")
    try:
        raw = bytes.fromhex((entry.raw or entry.data).removeprefix("0x"))
        transaction = decode_transaction(raw)
    except (ValueError, TransactionFormatError) as exc:
        raise ShareError(f"{at}: neither raw nor data is a signed transaction") from exc
    described = {
        "tx_hash": (entry.tx_hash.lower(), "0x" + transaction.hash.hex()),
        "gas_price": (gas_price, transaction.max_fee_per_gas),
        "gas_limit": (gas_limit, transaction.gas),
        "sender": (entry.sender.lower(), transaction.sender.hex()),
        "recipient": (
            None if entry.recipient is None else entry.recipient.lower(),
            None if transaction.to is None else transaction.to.hex(),
        ),
        "value": (_read_word(entry.value, name=f"{at}: value"), transaction.value),
    }
    if entry.raw:
        described["data"] = (entry.data.lower(), "0x" + transaction.data.hex())
    for name, (said, signed) in described.items():
        if said != signed:
            raise ShareError(f"{at}: {name} is not what was signed")
    return transaction


def _read_word(text: str, *, name: str) -> int:
    """Return a number of at most 256 bits from `0x` and digits."""
    if _WORD.fullmatch(text) is None:
        raise ShareError(f"{name} is no 0x number of at most 256 bits")
    return int(text, 16)
