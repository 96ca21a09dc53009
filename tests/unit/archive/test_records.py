# SPDX-License-Identifier: MIT
"""Records, order events and the hub's list as bytes: what is read of them, and what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from buildernet.archive.errors import RecordContentError, UnknownSenderError
from buildernet.archive.order_events import parse_order_events
from buildernet.archive.rows import RowMaker
from buildernet.archive.senders import Senders, parse_builders
from buildernet.base.errors import BuildernetError
from buildernet.ethereum.address import Address
from buildernet.net.archive_stream import (
    MAX_TIME_US,
    BatchFormatError,
    BidRecord,
    OrderRecord,
    ReceiptRecord,
    encode_record,
    parse_batch,
    parse_record,
)
from tests.support.archive_process import make_batch, make_receipt, make_record

_BODY = make_batch([make_record(1), make_receipt(2), make_record(3)])
_PARAM = json.dumps(
    {
        "orderEvents": [
            {
                "eth_sendBundle": {
                    "params": {"txs": ["0x01"], "blockNumber": "0x5"},
                    "metadata": {"receivedAt": 1_790_000_000_000},
                }
            },
            {
                "mev_sendBundle": {
                    "params": {
                        "version": "v0.1",
                        "inclusion": {"block": "0x5", "maxBlock": "0xa"},
                        "body": [{"tx": "0x02", "canRevert": True}],
                        "metadata": {"signer": "0x" + "44" * 20},
                    },
                    "metadata": {"receivedAt": 1_790_000_000_001},
                }
            },
        ]
    }
).encode()


def _rows(body: bytes) -> int:
    batch = parse_batch(body)
    return len(RowMaker().rows("n", batch.stream, batch.first, batch.records))


@pytest.mark.parametrize("number", [0, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63])
def test_a_bid_has_a_row_or_is_malformed(number):
    """Whatever is taken must fit the columns: the sender would repeat a failure for ever."""
    word = b"\xff" * 32
    bid = BidRecord(1, number, number, word, word, b"k", word, number, number)
    try:
        assert _rows(make_batch([bid])) == 1
    except BatchFormatError:
        assert number >= 1 << 32


def test_a_batch_becomes_its_rows():
    assert _rows(_BODY) == 3


def test_a_record_survives_encoding():
    assert parse_record(encode_record(make_record(5))) == make_record(5)


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, len(_BODY) - 1), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_batch_is_refused_or_harmless(at, bit, cut):
    data = bytearray(_BODY)
    if cut:
        data = data[:at]
    else:
        data[at] ^= 1 << bit
    try:
        _rows(bytes(data))
    except (BatchFormatError, RecordContentError):
        return
    assert not cut


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_batch(data):
    with pytest.raises(BatchFormatError):
        parse_batch(data)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
_names = st.sampled_from(
    [
        *("txs", "minTimestamp", "refundPercent", "uuid", "delayedRefund", "refundRecipient"),
        *("version", "body", "revertingTxHashes", "replacementUuid", "blockNumber"),
        "signingAddress",
    ]
)


@settings(max_examples=40, deadline=None)
@given(members=st.dictionaries(_names, _json))
def test_any_parameter_is_kept_or_refused(members):
    """What fits no column stays in `rest`; only transactions that are no bytes are refused."""
    record = make_record(1, params=json.dumps(members).encode())
    try:
        rows = RowMaker().rows("n", b"s" * 16, 0, [record])
    except RecordContentError:
        return
    assert len(rows) == 1


@pytest.mark.parametrize(
    "field", [{"hash": b"short"}, {"received_at_us": -1}, {"received_at_us": MAX_TIME_US + 1}]
)
def test_a_field_out_of_its_bounds_is_refused(field):
    with pytest.raises(BatchFormatError):
        parse_record(encode_record(make_record(1, **field)))


def test_order_events_become_records():
    (one, first), (two, second) = parse_order_events(_PARAM)
    assert (first.kind, first.target_block, first.signer) == ("bundle", 5, bytes(20))
    assert (second.kind, second.target_block, second.signer) == ("mev_bundle", 10, b"\x44" * 20)
    assert one != two
    assert parse_order_events(_PARAM) == [(one, first), (two, second)]


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, len(_PARAM) - 1), bit=st.integers(0, 6), cut=st.booleans())
def test_damaged_order_events_are_refused_or_read(at, bit, cut):
    data = bytearray(_PARAM)
    if cut:
        data = data[:at]
    else:
        data[at] ^= 1 << bit
    try:
        found = parse_order_events(bytes(data))
        for stream, record in found:
            RowMaker().rows("n", stream, 0, [record])
    except RecordContentError:
        return
    assert not cut


def test_a_broken_entry_of_the_hub_spoils_nothing():
    good = {"name": "n1", "ip": "x", "orderflow_proxy": {"ecdsa_pubkey_address": "0x" + "11" * 20}}
    bad = [
        {"name": "n2"},
        5,
        None,
        {"name": "n3", "orderflow_proxy": {"ecdsa_pubkey_address": "x"}},
    ]
    found, unreadable = parse_builders(json.dumps([*bad, good]).encode())
    assert found == {Address(b"\x11" * 20): "n1"}
    assert unreadable == 4


async def test_the_last_list_stays_while_the_hub_is_away():
    senders = Senders([(Address(b"\x01" * 20), "own")], registry=CollectorRegistry())
    entry = {"name": "n1", "orderflow_proxy": {"ecdsa_pubkey_address": "0x" + "11" * 20}}
    answers: list[bytes | BuildernetError] = [
        json.dumps([entry]).encode(),
        BuildernetError("away"),
        b"{}",
        b"[]",
    ]

    async def fetch() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, BuildernetError):
            raise answer
        return answer

    for _ in range(3):
        await senders.refresh(fetch)
        assert senders.authorise(Address(b"\x11" * 20)) == "n1"
    await senders.refresh(fetch)  # an empty list is an answer
    with pytest.raises(UnknownSenderError):
        senders.authorise(Address(b"\x11" * 20))
    assert senders.authorise(Address(b"\x01" * 20)) == "own"


def test_kinds_of_records_are_told_apart():
    records = parse_batch(_BODY).records
    assert [type(one) for one in records] == [OrderRecord, ReceiptRecord, OrderRecord]
