# SPDX-License-Identifier: MIT
"""The tables as this program writes and reads them; `sql/` is how the engine is told about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from buildernet.archive import row_binary as binary
from buildernet.archive.row_binary import Encoder

_PLAIN: Final = "{name}"
_HEX: Final = "concat('0x', lower(hex({name})))"
_HEX_OR_NULL: Final = "if(isNull({name}), NULL, concat('0x', lower(hex({name}))))"
_HEX_EACH: Final = "arrayMap(x -> concat('0x', lower(hex(x))), {name})"
_HEX_OR_NULL_EACH: Final = "arrayMap(x -> if(isNull(x), NULL, concat('0x', lower(hex(x)))), {name})"
_DECIMAL: Final = "toString({name})"
_DECIMAL_EACH: Final = "arrayMap(x -> toString(x), {name})"
_TIME: Final = "toUnixTimestamp64Micro({name})"


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    encode: Encoder
    shown: str = _PLAIN
    """SQL that makes it fit for JSON; bytes become hexadecimal digits, times microseconds."""

    @property
    def alias(self) -> str:
        """The name in JSON."""
        return self.name.replace("tx.", "tx_")

    @property
    def expression(self) -> str:
        """What to select."""
        return f"{self.shown.format(name=f'`{self.name}`')} AS `shown_{self.alias}`"


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    name: str
    columns: tuple[Column, ...]
    node: str = "node"
    """The column with the name of the node that recorded the row."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns in the order of a row's values."""
        return tuple(column.name for column in self.columns)

    def encode_row(self, values: Sequence[Any]) -> bytes:
        """Return a row in `RowBinary`; the values stand in the columns' order.

        Raises:
            RecordContentError: A value does not fit its column.
        """
        return b"".join(
            [column.encode(value) for column, value in zip(self.columns, values, strict=True)]
        )


_hash = binary.fixed(32)
_address = binary.fixed(20)


def _tx(name: str, inner: Encoder, shown: str = _PLAIN) -> Column:
    return Column(f"tx.{name}", binary.array(inner), shown)


BUNDLES: Final = Table(
    "bundles",
    (
        Column("block_number", binary.u64),
        Column("hash", _hash, _HEX),
        Column("node", binary.text),
        Column("stream", binary.uuid),
        Column("seq", binary.u64),
        Column("received_at", binary.time_us, _TIME),
        Column("kind", binary.text),
        Column("method", binary.text),
        Column("order_key", binary.fixed(16), _HEX),
        Column("uuid", binary.nullable(binary.uuid)),
        Column("signer_address", _address, _HEX),
        Column("priority", binary.text),
        Column("head_block", binary.nullable(binary.u64)),
        Column("min_timestamp", binary.nullable(binary.u64)),
        Column("max_timestamp", binary.nullable(binary.u64)),
        Column("reverting_tx_hashes", binary.array(_hash), _HEX_EACH),
        Column("dropping_tx_hashes", binary.array(_hash), _HEX_EACH),
        Column("refund_tx_hashes", binary.array(_hash), _HEX_EACH),
        Column("replacement_uuid", binary.nullable(binary.uuid)),
        Column("replacement_nonce", binary.nullable(binary.u64)),
        Column("refund_percent", binary.nullable(binary.u8)),
        Column("refund_recipient", binary.nullable(_address), _HEX_OR_NULL),
        Column("refund_identity", binary.nullable(_address), _HEX_OR_NULL),
        Column("delayed_refund", binary.nullable(binary.u8)),
        Column("version", binary.text),
        _tx("hash", _hash, _HEX_EACH),
        _tx("sender", _address, _HEX_EACH),
        _tx("nonce", binary.u64),
        _tx("type", binary.u8),
        _tx("recipient", binary.nullable(_address), _HEX_OR_NULL_EACH),
        _tx("gas", binary.u64),
        _tx("value", binary.u256, _DECIMAL_EACH),
        _tx("gas_price", binary.nullable(binary.u256), _DECIMAL_EACH),
        _tx("max_fee_per_gas", binary.nullable(binary.u256), _DECIMAL_EACH),
        _tx("max_priority_fee_per_gas", binary.nullable(binary.u256), _DECIMAL_EACH),
        _tx("raw", binary.data, _HEX_EACH),
        Column("rest", binary.data),
    ),
)

RECEIPTS: Final = Table(
    "bundle_receipts",
    (
        Column("bundle_hash", _hash, _HEX),
        Column("dst_builder_name", binary.text),
        Column("stream", binary.uuid),
        Column("seq", binary.u64),
        Column("double_bundle_hash", _hash, _HEX),
        Column(
            "sent_at",
            binary.nullable(binary.time_us),
            "if(isNull({name}), NULL, toUnixTimestamp64Micro(assumeNotNull({name})))",
        ),
        Column("received_at", binary.time_us, _TIME),
        Column("src_builder_name", binary.text),
        Column("payload_size", binary.u64),
        Column("priority", binary.text),
    ),
    node="dst_builder_name",
)

BIDS: Final = Table(
    "bids",
    (
        Column("block_number", binary.u64),
        Column("block_hash", _hash, _HEX),
        Column("node", binary.text),
        Column("stream", binary.uuid),
        Column("seq", binary.u64),
        Column("received_at", binary.time_us, _TIME),
        Column("slot", binary.u64),
        Column("parent_hash", _hash, _HEX),
        Column("builder_key", binary.data, _HEX),
        Column("value_wei", binary.u256, _DECIMAL),
        Column("transactions", binary.u32),
        Column("gas_used", binary.u64),
        Column("relay", binary.text),
    ),
)

TABLES: Final = {table.name: table for table in (BUNDLES, RECEIPTS, BIDS)}
