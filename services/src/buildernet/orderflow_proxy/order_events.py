# SPDX-License-Identifier: MIT
"""The reference's form of a batch for an archive: one `flashbots_newOrderEvents` request.

A raw transaction becomes the mev-share bundle that the Go proxy makes of it. Receipts, bids and
subsidies have no form there and are left out.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from buildernet.ethereum.address import Address
from buildernet.net.archive_stream import OrderRecord, parse_record
from buildernet.net.jsonrpc import encode_request

METHOD: Final = "flashbots_newOrderEvents"
MAX_EVENTS: Final = 101
"""The Go proxy flushes when a batch has more than 100."""
LINGER_S: Final = 6.0
"""And otherwise this often."""

BLOCKS_AFTER: Final = 5
"""A transaction may enter this many blocks after the next one."""

_AS_THEY_ARE: Final = frozenset({"eth_sendBundle", "mev_sendBundle", "eth_cancelBundle"})
_TRANSACTION: Final = "eth_sendRawTransaction"
_US_MS: Final = 1000


class HeadUnknownError(Exception):
    """A transaction needs a block number, and none is known yet."""


def encode_order_events(records: Sequence[bytes], *, head: int | None) -> bytes | None:
    """Return a request's body, or None when no record has a form there.

    Args:
        records: As they stand in the spool.
        head: The newest block known now, for records that were made without one.

    Raises:
        HeadUnknownError: See there.
    """
    events = [
        event
        for record in map(parse_record, records)
        if isinstance(record, OrderRecord) and (event := _event(record, head)) is not None
    ]
    if not events:
        return None
    return encode_request(METHOD, b'{"orderEvents":[%b]}' % b",".join(events))


def _event(record: OrderRecord, head: int | None) -> bytes | None:
    method, params = record.method, record.params
    if method == _TRANSACTION:
        method, params = "mev_sendBundle", _as_bundle(record, head)
    elif method not in _AS_THEY_ARE:
        return None
    received_ms = record.received_at_us // _US_MS
    return b'{"%b":{"params":%b,"metadata":{"receivedAt":%d}}}' % (
        method.encode(),
        params,
        received_ms,
    )


def _as_bundle(record: OrderRecord, head: int | None) -> bytes:
    block = record.head_block if record.head_block is not None else head
    if block is None:
        raise HeadUnknownError
    return msgspec.json.encode(
        {
            "version": "v0.1",
            "inclusion": {"block": hex(block), "maxBlock": hex(block + BLOCKS_AFTER)},
            "body": [{"tx": msgspec.json.decode(record.params), "canRevert": True}],
            "validity": {},
            "metadata": {"signer": Address(record.signer).hex()},
        }
    )
