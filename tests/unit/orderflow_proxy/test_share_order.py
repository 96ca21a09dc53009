# SPDX-License-Identifier: MIT
"""Entries of a request to share: any of them gives orders or our error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.errors import ShareError
from buildernet.orderflow_proxy.share import Entry, ShareRequest
from buildernet.orderflow_proxy.share_order import read_orders
from tests.support.orders import make_transaction

RAW = "0x" + make_transaction(2).hex()
TEXT = st.sampled_from(["", "0x", "0x0", "0x1", "0xzz", "-1", "٣", "0x" + "f" * 65, RAW, RAW[:99]])


def request(*entries: Entry) -> ShareRequest:
    return ShareRequest(Address(b"\1" * 20), entries, 7, 0, b"n" * 16)


def transaction_entry(**members: object) -> Entry:
    from buildernet.ethereum.transaction import decode_transaction

    signed = decode_transaction(bytes.fromhex(RAW[2:]))
    values: dict[str, object] = {
        "source": "peer",
        "timestamp": 0,
        "tx_hash": "0x" + signed.hash.hex(),
        "gas_price": hex(signed.max_fee_per_gas),
        "gas_limit": hex(signed.gas),
        "sender": signed.sender.hex(),
        "recipient": str(signed.to),
        "value": hex(signed.value),
        "data": "0x",
        "raw": RAW,
    }
    return Entry(**(values | members))  # type: ignore[arg-type]


def test_a_transaction_alone_is_one_order():
    (order,) = read_orders(request(transaction_entry()))
    assert (order.method, json.loads(order.param)) == ("eth_sendRawTransaction", RAW)


def test_transactions_of_one_bundle_are_one_order_in_their_place():
    entries = [transaction_entry(bundle_id=name) for name in ("0xa", "0xb", "0xa")]
    first, second = read_orders(request(*entries))
    assert (first.indices, second.indices) == ((0, 2), (1,))
    assert json.loads(first.param) == {"txs": [RAW, RAW], "blockNumber": "0x7", "version": "v2"}


@pytest.mark.parametrize("name", ["gas_price", "gas_limit", "value", "raw", "sender", "tx_hash"])
@settings(max_examples=20)
@given(text=TEXT)
def test_any_text_in_a_member_gives_an_order_or_our_error(name, text):
    try:
        orders = read_orders(request(transaction_entry(**{name: text})))
    except ShareError:
        return
    assert (name, text) == ("raw", RAW)
    assert len(orders) == 1


def test_a_bundle_id_of_any_length_is_refused():
    with pytest.raises(ShareError, match="too long"):
        read_orders(request(transaction_entry(bundle_id="x" * 67)))
