# SPDX-License-Identifier: MIT
"""What a node sends to the archive: records in numbered batches, in msgpack.

A record's identity is its node, its stream and its number in that stream. A node begins a new
stream whenever it opens its spool, so that a number is never given to two records, whatever a crash
took; a batch that is delivered twice has the same numbers twice, and the archive keeps one row.

Reference: docs/protocols/orderflow-archive.md.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from buildernet.base.errors import BuildernetError

RECORDS_PATH: Final = "/api/v1/records"
CONTENT_TYPE: Final = "application/vnd.buildernet.records+msgpack"

STREAM_BYTES: Final = 16
MAX_BATCH_BYTES: Final = 16 << 20
"""One request's body: an order of the largest accepted size (10 MiB) and its envelope fit."""
MAX_BATCH_RECORDS: Final = 10_000
"""Records of one batch; the archive's rows of one insertion are of the same order."""

_MAX_PARAMS_BYTES: Final = 12 << 20
_MAX_NAME_CHARS: Final = 255
_MAX_SIGNED: Final = (1 << 63) - 1
"""msgspec's bounds are signed; no block, nonce or size comes near."""
MAX_TIME_US: Final = 9_000_000_000_000_000
"""Year 2255: the engine's time with microseconds ends in 2299."""

Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes20 = Annotated[bytes, Meta(min_length=20, max_length=20)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count = Annotated[int, Meta(ge=0, le=_MAX_SIGNED)]
SmallCount = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]
Time = Annotated[int, Meta(ge=0, le=MAX_TIME_US)]
Name = Annotated[str, Meta(max_length=_MAX_NAME_CHARS)]


class OrderRecord(msgspec.Struct, frozen=True, tag="order", tag_field="type", omit_defaults=True):
    """An order that a user sent to the node."""

    received_at_us: Time
    """Unix time in microseconds."""
    method: Name
    kind: Name
    """`bundle`, `transaction`, `cancellation`, `mev_bundle` or `subsidy`."""
    hash: Bytes32
    key: Bytes16
    signer: Bytes20
    priority: Name
    params: Annotated[bytes, Meta(max_length=_MAX_PARAMS_BYTES)]
    """JSON text of the one parameter as it was forwarded."""
    target_block: Count | None = None
    head_block: Count | None = None
    """The newest block that the node knew of when it took the order."""
    replacement_uuid: Bytes16 | None = None
    replacement_nonce: Count | None = None


class ReceiptRecord(
    msgspec.Struct, frozen=True, tag="receipt", tag_field="type", omit_defaults=True
):
    """That an order arrived from another node; its content is in that node's stream."""

    received_at_us: Time
    hash: Bytes32
    source: Name
    """The sending node, as the hub names it."""
    size: Count
    """Bytes of the parameter's JSON text."""
    priority: Name
    sent_at_us: Time | None = None


class BidRecord(msgspec.Struct, frozen=True, tag="bid", tag_field="type", omit_defaults=True):
    """A bid of the node's builder."""

    received_at_us: Time
    block: Count
    slot: Count
    block_hash: Bytes32
    parent_hash: Bytes32
    builder_key: Annotated[bytes, Meta(max_length=48)]
    """BLS public key, 48 bytes."""
    value_wei: Bytes32
    """256 bits, big-endian."""
    transactions: SmallCount
    """32 bits, as in the archive's column."""
    gas_used: Count
    relay: Name = ""


Record = OrderRecord | ReceiptRecord | BidRecord


class RecordBatch(msgspec.Struct, frozen=True):
    """Consecutive records of one stream."""

    stream: Bytes16
    first: Count
    """Number of the first record; the others follow without gaps."""
    records: Annotated[list[Record], Meta(max_length=MAX_BATCH_RECORDS)]


class _EncodedBatch(msgspec.Struct, frozen=True):
    stream: bytes
    first: int
    records: list[msgspec.Raw]


class BatchFormatError(BuildernetError):
    """Bytes are no batch of records."""


_encoder = msgspec.msgpack.Encoder()
_record_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
_batch_decoder = msgspec.msgpack.Decoder(RecordBatch)


def encode_record(record: Record) -> bytes:
    """Return one record as it stands in a batch."""
    return _encoder.encode(record)


def parse_record(data: bytes) -> Record:
    """Read one record.

    Raises:
        BatchFormatError: It is malformed or a field is out of its bounds.
    """
    try:
        return _record_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BatchFormatError(f"malformed record: {exc}") from exc


def encode_batch(stream: bytes, first: int, records: Sequence[bytes]) -> bytes:
    """Return a request's body.

    Args:
        stream: 16 bytes.
        first: Number of the first record.
        records: Encoded records, in order.
    """
    return _encoder.encode(_EncodedBatch(stream, first, [msgspec.Raw(r) for r in records]))


def parse_batch(body: bytes) -> RecordBatch:
    """Read a request's body.

    Raises:
        BatchFormatError: It is malformed or a field is out of its bounds.
    """
    try:
        return _batch_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BatchFormatError(f"malformed batch: {exc}") from exc
