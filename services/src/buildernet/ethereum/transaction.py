# SPDX-License-Identifier: MIT
"""Transactions of every type that mainnet takes: 0 (legacy) to 4 (EIP-7702).

Decoding establishes form and sender. Whether a block may hold the transaction is
`buildernet.ethereum.validation`'s question; balance, nonce and base fee are the builder's.

Reference: EIP-2718, EIP-155, EIP-2930, EIP-1559, EIP-4844, EIP-7702.
"""

from collections import OrderedDict
from typing import Any, Final

import msgspec

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import SignatureError, TransactionFormatError
from buildernet.ethereum.fields import (
    TRANSACTION_FIELDS,
    WORD_BYTES,
    AccessEntry,
    Authorization,
    read_fields,
)
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.rlp import encode_integer, encode_list_head, read_item, read_list
from buildernet.ethereum.sidecar import verify_sidecar
from buildernet.ethereum.signature import recover_signer

MAX_TRANSACTION_BYTES: Final = 128 * 1024
"""Without blobs: what execution clients take into their pools and the seeds allow (128 KiB)."""

MAX_NETWORK_FORM_BYTES: Final = 1024 * 1024
"""With blobs: six of them, their proofs and the transaction; execution clients' limit too."""

REMEMBERED_SENDERS: Final = 16_384
"""Recovered senders that are kept, about 4 MiB: a bundle comes again for block after block."""

LEGACY: Final = 0
ACCESS_LIST: Final = 1
FEE_MARKET: Final = 2
BLOB: Final = 3
SET_CODE: Final = 4

_FIRST_LIST_HEAD: Final = 0xC0
_SIGNATURE_FIELDS: Final = 3
_UNPROTECTED_V: Final = (27, 28)
_FIRST_PROTECTED_V: Final = 35


class Transaction(msgspec.Struct, frozen=True):
    """A decoded transaction. Amounts are in wei."""

    type: int
    hash: bytes
    """32 bytes, over the block form."""
    sender: Address
    chain_id: int | None
    """None for a legacy transaction from before EIP-155, valid on every chain."""
    nonce: int
    gas: int
    max_fee_per_gas: int
    """The gas price of types 0 and 1."""
    max_priority_fee_per_gas: int
    """The gas price of types 0 and 1."""
    to: Address | None
    """None creates a contract."""
    value: int
    data: bytes
    access_list: tuple[AccessEntry, ...]
    max_fee_per_blob_gas: int | None
    blob_versioned_hashes: tuple[bytes, ...]
    authorizations: tuple[Authorization, ...]
    v: int
    """As encoded: 27, 28 or EIP-155's for type 0, otherwise the parity 0 or 1."""
    r: int
    s: int
    block_form: bytes
    """As it stands in a block: without blobs."""
    raw: bytes
    """As it was received: `block_form`, or with blobs the network form."""

    @property
    def has_sidecar(self) -> bool:
        """Whether the blobs came along."""
        return self.raw is not self.block_form


class SenderCache:
    """Remembers which address signed a transaction, by its hash, least recently used out first.

    The hash covers the signature, so what is remembered holds for every copy.
    """

    __slots__ = ("_limit", "_senders")

    def __init__(self, limit: int = REMEMBERED_SENDERS) -> None:
        self._limit = limit
        self._senders: OrderedDict[bytes, Address] = OrderedDict()

    def __len__(self) -> int:
        return len(self._senders)

    def recall(self, transaction_hash: bytes) -> Address | None:
        """Return the sender of a transaction seen before, or None."""
        sender = self._senders.get(transaction_hash)
        if sender is not None:
            try:  # noqa: SIM105 (costs a tenth of a look-up)
                self._senders.move_to_end(transaction_hash)
            except KeyError:
                pass  # forgotten this moment: large orders are parsed in a thread
        return sender

    def remember(self, transaction_hash: bytes, sender: Address) -> None:
        """Keep a sender, forgetting the one that was asked for longest ago when full."""
        self._senders[transaction_hash] = sender
        if len(self._senders) > self._limit:
            self._senders.popitem(last=False)


def decode_transaction(raw: bytes, *, senders: SenderCache | None = None) -> Transaction:
    """Decode a transaction and recover its sender.

    Args:
        raw: The EIP-2718 envelope or legacy RLP; a blob transaction with or without its sidecar.
        senders: Spares the recovery (50 µs) of a transaction seen before.

    Raises:
        TransactionFormatError: The bytes are too many, no transaction of types 0 to 4, not in
            canonical RLP, or not signed by anybody.
    """
    if not raw:
        raise TransactionFormatError("a transaction without bytes")
    if raw[0] >= _FIRST_LIST_HEAD:
        kind, at = LEGACY, 0
    elif ACCESS_LIST <= raw[0] <= SET_CODE:
        kind, at = raw[0], 1
    else:
        raise TransactionFormatError(f"type {raw[0]} is no transaction type from 1 to 4")
    limit = MAX_NETWORK_FORM_BYTES if kind == BLOB else MAX_TRANSACTION_BYTES
    if len(raw) > limit:
        raise TransactionFormatError(f"{len(raw)} bytes, more than the {limit} of its type")
    start, stop = read_list(raw, at, len(raw))
    block_form = raw
    sidecar_at = None
    if kind == BLOB and raw[start : start + 1] >= bytes((_FIRST_LIST_HEAD,)):
        outer_stop = stop
        item_at = start
        _, start, stop = read_item(raw, item_at, outer_stop)
        block_form = raw[:1] + raw[item_at:stop]
        sidecar_at = stop
    if len(block_form) > MAX_TRANSACTION_BYTES:
        raise TransactionFormatError(
            f"{len(block_form)} bytes without blobs, more than {MAX_TRANSACTION_BYTES}"
        )
    values, positions = read_fields(TRANSACTION_FIELDS[kind], raw, start, stop)
    if sidecar_at is not None:
        verify_sidecar(raw, sidecar_at, outer_stop, values["blob_versioned_hashes"])
    signed = raw[start : positions[-_SIGNATURE_FIELDS]]
    return _build(kind, values, signed, block_form=block_form, raw=raw, senders=senders)


def _build(
    kind: int,
    values: dict[str, Any],
    signed: bytes,
    *,
    block_form: bytes,
    raw: bytes,
    senders: SenderCache | None,
) -> Transaction:
    transaction_hash = compute_keccak256(block_form)
    v = values["v"] if kind == LEGACY else values["y_parity"]
    chain_id, parity = _split_v(v) if kind == LEGACY else (values["chain_id"], v)
    sender = senders.recall(transaction_hash) if senders else None
    if sender is None:
        sender = _recover(kind, signed, values, chain_id=chain_id, parity=parity)
        if senders is not None:
            senders.remember(transaction_hash, sender)
    price = values.get("gas_price")
    return Transaction(
        type=kind,
        hash=transaction_hash,
        sender=sender,
        chain_id=chain_id,
        nonce=values["nonce"],
        gas=values["gas"],
        max_fee_per_gas=values["max_fee_per_gas"] if price is None else price,
        max_priority_fee_per_gas=values["max_priority_fee_per_gas"] if price is None else price,
        to=values["to"],
        value=values["value"],
        data=values["data"],
        access_list=values.get("access_list", ()),
        max_fee_per_blob_gas=values.get("max_fee_per_blob_gas"),
        blob_versioned_hashes=values.get("blob_versioned_hashes", ()),
        authorizations=values.get("authorizations", ()),
        v=v,
        r=values["r"],
        s=values["s"],
        block_form=block_form,
        raw=raw,
    )


def _split_v(v: int) -> tuple[int | None, int]:
    """Return the chain id and parity that a legacy transaction's v holds (EIP-155)."""
    if v in _UNPROTECTED_V:
        return None, v - _UNPROTECTED_V[0]
    if v < _FIRST_PROTECTED_V:
        raise TransactionFormatError(f"signature: v is {v}")
    chain_id, parity = divmod(v - _FIRST_PROTECTED_V, 2)
    return chain_id, parity


def _recover(
    kind: int, signed: bytes, values: dict[str, Any], *, chain_id: int | None, parity: int
) -> Address:
    """Recover the sender from the encoded fields that are signed: all before the signature."""
    if kind == LEGACY and chain_id is not None:
        signed += encode_integer(chain_id) + encode_integer(0) + encode_integer(0)
    envelope = b"" if kind == LEGACY else bytes((kind,))
    digest = compute_keccak256(envelope + encode_list_head(len(signed)) + signed)
    if parity not in (0, 1):
        raise TransactionFormatError(f"signature: the parity is {parity}")
    r, s = values["r"].to_bytes(WORD_BYTES), values["s"].to_bytes(WORD_BYTES)
    try:
        return recover_signer(digest, r + s + bytes((parity,)))
    except SignatureError as exc:
        raise TransactionFormatError(f"signature: {exc}") from exc
