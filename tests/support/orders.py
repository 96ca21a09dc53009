# SPDX-License-Identifier: MIT
"""Signed transactions and requests for the tests of orders."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from ethereum.forks.osaka import transactions as specification
from ethereum.forks.osaka.fork_types import Address as SpecifiedAddress
from ethereum.forks.osaka.fork_types import Authorization
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes0, Bytes32
from ethereum_types.numeric import U8, U64, U256, Uint

from buildernet.ethereum.signature import SigningKey
from buildernet.orderflow_proxy.order import OrderSource
from buildernet.orderflow_proxy.orders.parsed import OrderRequest

SEPOLIA: Final = 11155111
VECTORS: Final = json.loads(
    (Path(__file__).parents[1] / "vectors" / "orders" / "bundles.json").read_text()
)

USER: Final = SigningKey.parse("d63b3c447fdea415a05e4c0b859474d14105a88178efdf350bc9f7b05be3cc58")
"""Signs requests; the key of the Go proxy's own tests."""
ACCOUNT: Final = SigningKey(b"\x07" * 32)
"""Signs transactions."""
PEER: Final = SigningKey(b"\x08" * 32)
RECEIVED_AT_US: Final = 1_730_000_000_000_000

_KINDS: Final = (
    specification.LegacyTransaction,
    specification.AccessListTransaction,
    specification.FeeMarketTransaction,
    specification.BlobTransaction,
    specification.SetCodeTransaction,
)
_DEFAULTS: Final[dict[str, Any]] = {
    "chain_id": U64(1),
    "nonce": U256(5),
    "gas_price": Uint(10**10),
    "max_priority_fee_per_gas": Uint(10**9),
    "max_fee_per_gas": Uint(10**10),
    "gas": Uint(1_000_000),
    "to": SpecifiedAddress(b"\x11" * 20),
    "value": U256(10**18),
    "data": Bytes(b""),
    "access_list": (),
    "max_fee_per_blob_gas": U256(10**9),
    "blob_versioned_hashes": (Bytes32(b"\x01" + b"\x22" * 31),),
    "authorizations": (
        Authorization(
            U256(1), SpecifiedAddress(b"\x33" * 20), U64(0), U8(1), U256(2**255), U256(2**254)
        ),
    ),
    "y_parity": U256(0),
    "v": U256(0),
    "r": U256(0),
    "s": U256(0),
}
CREATE: Final = Bytes0(b"")


def make_request(source: OrderSource = OrderSource.USER) -> OrderRequest:
    """Return who sent a request: USER, or PEER from the other side."""
    if source is OrderSource.USER:
        return OrderRequest(source, USER.address, "user-request", RECEIVED_AT_US)
    return OrderRequest(source, PEER.address, "other-node", RECEIVED_AT_US)


def make_specified(kind: int, *, protected: bool = True, **fields: Any) -> Any:
    """Return a transaction of the specification's own class, signed by ACCOUNT."""
    declared = _KINDS[kind]
    names = {field.name for field in dataclasses.fields(declared)}
    values = {name: fields.get(name, _DEFAULTS[name]) for name in names}
    if kind == 4:
        values["nonce"] = U64(int(values["nonce"]))
    unsigned: Any = declared(**values)
    digest, parity_name, base = _signing_hash(kind, unsigned, protected=protected)
    signature = ACCOUNT.sign_digest(bytes(digest))
    return dataclasses.replace(
        unsigned,
        r=U256.from_be_bytes(signature[:32]),
        s=U256.from_be_bytes(signature[32:64]),
        **{parity_name: U256(signature[64] - 27 + base)},
    )


def _signing_hash(kind: int, unsigned: Any, *, protected: bool) -> tuple[Any, str, int]:
    if kind == 0 and protected:
        return specification.signing_hash_155(unsigned, U64(1)), "v", 37
    if kind == 0:
        return specification.signing_hash_pre155(unsigned), "v", 27
    hashes = (
        specification.signing_hash_2930,
        specification.signing_hash_1559,
        specification.signing_hash_4844,
        specification.signing_hash_7702,
    )
    return hashes[kind - 1](unsigned), "y_parity", 0


def encode_specified(transaction: Any) -> bytes:
    """Return the bytes of a transaction as the specification encodes them."""
    if isinstance(transaction, specification.LegacyTransaction):
        return rlp.encode(transaction)
    encoded = specification.encode_transaction(transaction)
    assert isinstance(encoded, bytes)
    return encoded


def make_transaction(kind: int = 2, **fields: Any) -> bytes:
    """Return the bytes of a transaction signed by ACCOUNT; valid, unless the fields are not."""
    return encode_specified(make_specified(kind, **fields))
