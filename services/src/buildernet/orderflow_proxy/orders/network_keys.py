# SPDX-License-Identifier: MIT
"""Names the network's other implementations give to orders: the unique key and the bundle uuid.

No service calls them: the node tells duplicates apart by `compute_order_key`, which covers what
these leave out (version, refund identity), and the API and the archive name a bundle by its hash.
They are kept, and held against the published vectors, for whoever has to find an order of our
archive in the records of a Go proxy or of a builder: they name it by these alone. Nothing here
changes what it is given: the Go proxy sorts the caller's lists while it hashes them, and so
forwards them sorted.

Reference: docs/protocols/orderflow-orders.md, "Names of the network".
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final
from uuid import UUID

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.orders.bundle import V1, Bundle
from buildernet.orderflow_proxy.orders.errors import OrderRuleError
from buildernet.orderflow_proxy.orders.mev_bundle import MevBundle
from buildernet.orderflow_proxy.orders.wire import MAX_U64

_UUID_BYTES: Final = 16
_U64_BYTES: Final = 8
_UUID_VERSION: Final = 5
_NIL: Final = bytes(_UUID_BYTES)


def compute_bundle_unique_key(bundle: Bundle) -> UUID:
    """Return the Go proxy's UniqueKey of an eth_sendBundle."""
    parts = [_u64(bundle.block or 0)]
    parts += [each.raw for each in bundle.transactions]
    parts += [
        _u64(each) for each in (bundle.min_timestamp, bundle.max_timestamp) if each is not None
    ]
    parts += sorted(bundle.reverting)
    if bundle.replacement_uuid is not None:
        parts.append(bundle.replacement_uuid.bytes)
    if bundle.replacement_nonce is not None:
        parts.append(_u64(bundle.replacement_nonce))
    parts += sorted(bundle.dropping)
    if bundle.refund_percent is not None:
        parts.append(_u64(bundle.refund_percent))
    if bundle.refund_recipient is not None:
        parts.append(bundle.refund_recipient.raw)
    parts += [text.encode() for text in bundle.refund_hash_texts]
    if bundle.signing_address is not None:
        parts.append(bundle.signing_address.raw)
    return _make_uuid(b"".join(parts))


def compute_mev_bundle_unique_key(bundle: MevBundle) -> UUID:
    """Return the Go proxy's UniqueKey of a mev_sendBundle, whose values were checked before.

    A nested bundle without metadata adds no signer; the Go proxy stops with a panic there.
    """
    return _make_uuid(b"".join(_mev_parts(bundle)))


def compute_transaction_unique_key(raw: bytes) -> UUID:
    """Return the Go proxy's UniqueKey of an eth_sendRawTransaction."""
    return _make_uuid(raw)


def compute_cancellation_unique_key(uuid: UUID, signer: Address) -> UUID:
    """Return the Go proxy's UniqueKey of an eth_cancelBundle."""
    return _make_uuid(uuid.bytes + signer.raw)


def compute_subsidy_unique_key(value: int) -> UUID:
    """Return the Go proxy's UniqueKey of a bid_subsidiseBlock."""
    return _make_uuid(_u64(value))


def compute_bundle_uuid(bundle: Bundle) -> UUID:
    """Return the builder's uuid of a bundle.

    Raises:
        OrderRuleError: The bundle asks for a refund and has no transactions.
    """
    block = bundle.block or 0
    if bundle.version in (None, V1):
        parts = [_uvarint(2 * block), bundle.hash, *sorted(bundle.reverting)]  # zig-zag
        return _make_uuid(_NIL + b"".join(parts))
    latest = MAX_U64 if bundle.max_timestamp is None else bundle.max_timestamp
    numbers = (
        block,
        bundle.min_timestamp or 0,
        latest,
        len(bundle.reverting),
        len(bundle.dropping),
    )
    parts = [_uvarint(number) for number in numbers]
    parts += [bundle.hash, *sorted(bundle.reverting), *sorted(bundle.dropping)]
    if bundle.refund_percent:
        if not bundle.transactions:
            raise OrderRuleError("bundle with no txs")
        recipient = bundle.refund_recipient or bundle.transactions[0].sender
        hashes = bundle.refund_hashes or (bundle.transactions[-1].hash,)
        parts += [bytes((bundle.refund_percent,)), recipient.raw, _uvarint(len(hashes))]
        parts += sorted(hashes)
    return _make_uuid(_NIL + b"".join(parts))


def _mev_parts(bundle: MevBundle) -> Iterator[bytes]:
    if bundle.replacement_uuid is not None:
        yield UUID(bundle.replacement_uuid).bytes
    yield _u64(int(bundle.inclusion.block, 16))
    yield _u64(int(bundle.inclusion.max_block, 16))
    for body in bundle.body or ():
        if body.bundle is not None:
            yield from _mev_parts(body.bundle)
        elif body.tx is not None:
            yield bytes.fromhex(body.tx[2:])
        yield b"\1" if body.can_revert else b"\0"
        yield body.revert_mode.encode()
    if bundle.metadata is not None and bundle.metadata.signer is not None:
        yield Address.parse(bundle.metadata.signer).raw


def _u64(value: int) -> bytes:
    return value.to_bytes(_U64_BYTES, "little")


def _uvarint(value: int) -> bytes:
    """Encode a number as base 128, low digits first."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _make_uuid(data: bytes) -> UUID:
    """Shape the first 16 bytes of SHA-256 as a version 5 UUID; unlike uuid5, with no namespace."""
    return UUID(bytes=sha256(data).digest()[:_UUID_BYTES], version=_UUID_VERSION)
