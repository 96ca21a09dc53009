# SPDX-License-Identifier: MIT
"""Records become rows: every field of an order that has a column, and the rest as it came.

A transaction that does not decode is kept as it is, with the hash of its bytes and zeros for what
could not be read: the archive records what was sent, it does not judge it.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from buildernet.archive.errors import RecordContentError
from buildernet.archive.order_events import parse_raw_transaction
from buildernet.archive.tables import BIDS, BUNDLES, RECEIPTS, Table
from buildernet.ethereum.errors import EthereumError
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.transaction import (
    ACCESS_LIST,
    SenderCache,
    decode_transaction,
)
from buildernet.net.archive_stream import BidRecord, OrderRecord, ReceiptRecord, Record

_SEND_BUNDLE: Final = "eth_sendBundle"
_SEND_TRANSACTION: Final = "eth_sendRawTransaction"

_TX_FIELDS: Final = 11
_MAX_U64: Final = (1 << 64) - 1
_MAX_U256: Final = (1 << 256) - 1
_HASH_BYTES: Final = 32
_ADDRESS_BYTES: Final = 20
_UUID_BYTES: Final = 16
_NOBODY: Final = bytes(_ADDRESS_BYTES)

Row = tuple[Table, bytes]
"""A table and one row of it, encoded."""


class RowMaker:
    """Turns records into rows; remembers the senders of transactions it has seen."""

    def __init__(self) -> None:
        self._senders = SenderCache()

    def rows(self, node: str, stream: bytes, first: int, records: Iterable[Record]) -> list[Row]:
        """Return the rows of consecutive records.

        Args:
            node: Who recorded them.
            stream: 16 bytes.
            first: Number of the first record.
            records: In order.

        Raises:
            RecordContentError: A record's content contradicts its kind.
        """
        made = []
        for seq, record in enumerate(records, first):
            match record:
                case OrderRecord():
                    made.append((BUNDLES, self._order(node, stream, seq, record)))
                case ReceiptRecord():
                    made.append((RECEIPTS, _receipt(node, stream, seq, record)))
                case BidRecord():
                    made.append((BIDS, _bid(node, stream, seq, record)))
        return made

    def _order(self, node: str, stream: bytes, seq: int, record: OrderRecord) -> bytes:
        fields = _Fields(record)
        transactions = [self._transaction(raw) for raw in fields.transactions]
        columns = zip(*transactions, strict=True) if transactions else ((),) * _TX_FIELDS
        return BUNDLES.encode_row(
            (
                record.target_block or 0,
                record.hash,
                node,
                stream,
                seq,
                record.received_at_us,
                record.kind,
                record.method,
                record.key,
                fields.uuid("uuid"),
                record.signer,
                record.priority,
                record.head_block,
                fields.number("minTimestamp"),
                fields.number("maxTimestamp"),
                fields.hashes("revertingTxHashes"),
                fields.hashes("droppingTxHashes"),
                fields.hashes("refundTxHashes"),
                record.replacement_uuid,
                record.replacement_nonce,
                fields.percent("refundPercent"),
                fields.address("refundRecipient"),
                fields.address("refundIdentity"),
                fields.flag("delayedRefund"),
                fields.word("version"),
                *columns,
                fields.rest(),
            )
        )

    def _transaction(self, raw: bytes) -> tuple[Any, ...]:
        try:
            tx = decode_transaction(raw, senders=self._senders)
        except EthereumError:
            return (compute_keccak256(raw), _NOBODY, 0, 0, None, 0, 0, None, None, None, raw)
        fixed_price = tx.type <= ACCESS_LIST
        return (
            tx.hash,
            tx.sender.raw,
            min(tx.nonce, _MAX_U64),
            tx.type,
            tx.to.raw if tx.to else None,
            min(tx.gas, _MAX_U64),
            min(tx.value, _MAX_U256),
            min(tx.max_fee_per_gas, _MAX_U256) if fixed_price else None,
            None if fixed_price else min(tx.max_fee_per_gas, _MAX_U256),
            None if fixed_price else min(tx.max_priority_fee_per_gas, _MAX_U256),
            tx.block_form,
        )


def _receipt(node: str, stream: bytes, seq: int, record: ReceiptRecord) -> bytes:
    return RECEIPTS.encode_row(
        (
            record.hash,
            node,
            stream,
            seq,
            compute_keccak256(record.hash),
            record.sent_at_us,
            record.received_at_us,
            record.source,
            record.size,
            record.priority,
        )
    )


def _bid(node: str, stream: bytes, seq: int, record: BidRecord) -> bytes:
    return BIDS.encode_row(
        (
            record.block,
            record.block_hash,
            node,
            stream,
            seq,
            record.received_at_us,
            record.slot,
            record.parent_hash,
            record.builder_key,
            int.from_bytes(record.value_wei, "big"),
            record.transactions,
            record.gas_used,
            record.relay,
        )
    )


class _Fields:
    """The members of an order's parameter; what is taken into a column leaves the rest."""

    def __init__(self, record: OrderRecord) -> None:
        self.transactions: list[bytes] = []
        try:
            decoded = msgspec.json.decode(record.params)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise RecordContentError(f"an order's params are no JSON: {exc}") from exc
        if record.method == _SEND_TRANSACTION and isinstance(decoded, str):
            self.transactions = [parse_raw_transaction(decoded)]
            self._members: dict[str, Any] = {}
            return
        if not isinstance(decoded, dict):
            raise RecordContentError(f"the params of {record.method} are no object")
        self._members = decoded
        if record.method == _SEND_BUNDLE:
            texts = decoded.pop("txs", None) or []
            if not isinstance(texts, list):
                raise RecordContentError("txs is no list")
            self.transactions = [parse_raw_transaction(text) for text in texts]
            # These stand in columns that the record itself fills.
            for name in ("blockNumber", "signingAddress", "replacementUuid", "replacementNonce"):
                decoded.pop(name, None)

    def number(self, name: str) -> int | None:
        return self._integer(name, most=_MAX_U64)

    def percent(self, name: str) -> int | None:
        return self._integer(name, most=0xFF)

    def _integer(self, name: str, *, most: int) -> int | None:
        def fits(value: object) -> bool:
            return type(value) is int and 0 <= value <= most

        taken: int | None = self._take(name, fits)
        return taken

    def flag(self, name: str) -> int | None:
        taken = self._take(name, lambda value: isinstance(value, bool))
        return None if taken is None else int(taken)

    def word(self, name: str) -> str:
        return self._take(name, lambda value: isinstance(value, str)) or ""

    def address(self, name: str) -> bytes | None:
        taken = self._take(name, lambda value: _is_hex(value, _ADDRESS_BYTES))
        return None if taken is None else bytes.fromhex(taken[2:])

    def uuid(self, name: str) -> bytes | None:
        def fits(value: object) -> bool:
            return isinstance(value, str) and _is_hex("0x" + value.replace("-", ""), _UUID_BYTES)

        taken = self._take(name, fits)
        return None if taken is None else bytes.fromhex(taken.replace("-", ""))

    def hashes(self, name: str) -> list[bytes]:
        def fits(value: object) -> bool:
            return isinstance(value, list) and all(_is_hex(one, _HASH_BYTES) for one in value)

        return [bytes.fromhex(text[2:]) for text in self._take(name, fits) or ()]

    def rest(self) -> bytes:
        return msgspec.json.encode(self._members) if self._members else b""

    # Any: the predicate has established the type.
    def _take(self, name: str, fits: Any) -> Any:
        value = self._members.get(name)
        if value is None or not fits(value):
            return None
        return self._members.pop(name)


def _is_hex(value: object, size: int) -> bool:
    if not isinstance(value, str) or len(value) != 2 + 2 * size or not value.startswith("0x"):
        return False
    try:
        return len(bytes.fromhex(value[2:])) == size
    except ValueError:
        return False
