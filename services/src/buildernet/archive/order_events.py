# SPDX-License-Identifier: MIT
"""The reference proxies' form: batches of `flashbots_newOrderEvents` become the same records.

They carry no numbers, so an event's identity is its content: the same event delivered again is the
same stream and the same row.

Reference: docs/specs of the Go proxies; docs/protocols/orderflow-archive.md.
"""

import hashlib
from typing import Any, Final

import msgspec

from buildernet.archive.errors import RecordContentError
from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.net.archive_stream import MAX_TIME_US, STREAM_BYTES, OrderRecord

METHOD: Final = "flashbots_newOrderEvents"

MAX_EVENTS: Final = 10_000
"""The reference flushes above 100."""

_KINDS: Final = {
    "eth_sendBundle": "bundle",
    "mev_sendBundle": "mev_bundle",
    "eth_cancelBundle": "cancellation",
}
_MS_US: Final = 1000
_MAX_COUNT: Final = (1 << 63) - 1
_NOBODY: Final = bytes(20)


class _Metadata(msgspec.Struct):
    received_at: int = msgspec.field(name="receivedAt")


class _Event(msgspec.Struct):
    params: msgspec.Raw
    metadata: _Metadata


class _Batch(msgspec.Struct):
    events: list[dict[str, _Event]] = msgspec.field(name="orderEvents")


_BATCH: Final = msgspec.json.Decoder(_Batch)


def parse_order_events(param: bytes) -> list[tuple[bytes, OrderRecord]]:
    """Read a batch.

    Args:
        param: JSON of the method's one parameter.

    Returns:
        Pairs of a 16-byte stream, made from the content, and a record; its number is 0.

    Raises:
        RecordContentError: It is no such batch, or an event is not what its method takes.
    """
    try:
        batch = _BATCH.decode(param)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RecordContentError(f"no batch of order events: {exc}") from exc
    if len(batch.events) > MAX_EVENTS:
        raise RecordContentError(f"{len(batch.events)} events, at most {MAX_EVENTS}")
    found = []
    for event in batch.events:
        for method, content in event.items():
            found.append(_record(method, content))
    return found


def _record(method: str, event: _Event) -> tuple[bytes, OrderRecord]:
    kind = _KINDS.get(method)
    if kind is None:
        raise RecordContentError(f"unknown order event {method[:60]!r}")
    params = bytes(event.params)
    received_at_us = event.metadata.received_at * _MS_US
    if not 0 <= received_at_us <= MAX_TIME_US:
        raise RecordContentError("receivedAt is no time in milliseconds")
    try:
        members = msgspec.json.decode(params)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RecordContentError(f"params of an event: {exc}") from exc
    if not isinstance(members, dict):
        raise RecordContentError("params of an event are no object")
    seal = hashlib.sha256(f"{method}\n{received_at_us}\n".encode() + params).digest()
    stream = seal[:STREAM_BYTES]
    inclusion = members.get("inclusion")
    block = inclusion.get("maxBlock") if isinstance(inclusion, dict) else None
    return stream, OrderRecord(
        received_at_us=received_at_us,
        method=method,
        kind=kind,
        hash=_bundle_hash(members),
        key=stream,
        signer=_signer(members),
        priority="",
        params=params,
        target_block=_quantity(members.get("blockNumber") if block is None else block),
        replacement_uuid=_uuid(members.get("replacementUuid")),
        replacement_nonce=_quantity(members.get("replacementNonce")),
    )


def _bundle_hash(members: dict[str, Any]) -> bytes:
    """Return the Flashbots hash: Keccak over the hashes of the transactions in order."""
    texts = members.get("txs")
    if not isinstance(texts, list):
        body = members.get("body")
        entries = body if isinstance(body, list) else []
        texts = [entry["tx"] for entry in entries if isinstance(entry, dict) and "tx" in entry]
    hashes = [compute_keccak256(parse_raw_transaction(text)) for text in texts]
    return compute_keccak256(b"".join(hashes))


def parse_raw_transaction(text: object) -> bytes:
    """Return the bytes of a transaction as records carry it.

    Raises:
        RecordContentError: It is no `0x` and hexadecimal digits.
    """
    if not isinstance(text, str) or not text.startswith("0x"):
        raise RecordContentError("a transaction is no 0x and hexadecimal digits")
    try:
        return bytes.fromhex(text[2:])
    except ValueError as exc:
        raise RecordContentError("a transaction is no 0x and hexadecimal digits") from exc


def _signer(members: dict[str, Any]) -> bytes:
    metadata = members.get("metadata")
    named = metadata.get("signer") if isinstance(metadata, dict) else None
    text = members.get("signingAddress") or named
    if not isinstance(text, str):
        return _NOBODY
    try:
        return Address.parse(text).raw
    except AddressFormatError as exc:
        raise RecordContentError(str(exc)) from exc


def _quantity(value: object) -> int | None:
    """Read a number, or one in `0x` hexadecimal digits; anything else is left to `rest`."""
    if isinstance(value, str):
        try:
            value = int(value, 16) if value.startswith("0x") else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_COUNT else None


def _uuid(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        raw = bytes.fromhex(value.replace("-", ""))
    except ValueError:
        return None
    return raw if len(raw) == STREAM_BYTES else None
