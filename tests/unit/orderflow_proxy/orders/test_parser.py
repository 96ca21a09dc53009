# SPDX-License-Identifier: MIT
"""The methods with little to them, and the way in."""

import json
from uuid import UUID

import pytest

from buildernet.ethereum.address import Address
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.orderflow_proxy.order import OrderKind, OrderPriority, OrderSource, Replacement
from buildernet.orderflow_proxy.orders.errors import (
    OrderParamsError,
    OrderRuleError,
    UnknownMethodError,
)
from buildernet.orderflow_proxy.orders.parsed import ParsedOrder, compute_order_key
from buildernet.orderflow_proxy.orders.parser import METHODS, OrderParser, is_cancellation
from tests.support.orders import PEER, SEPOLIA, USER, VECTORS, make_request, make_transaction

RAW = make_transaction(2)
UUID_TEXT = "550e8400-e29b-41d4-a716-446655440000"
USER_TEXT = "0x9349365494be4f6205e5d44bdc7ec7dcd134becf"


def parse(method: str, param: object, source: OrderSource = OrderSource.USER) -> ParsedOrder:
    return OrderParser().parse(method, [json.dumps(param).encode()], make_request(source))


def test_raw_transaction_is_forwarded_and_answered_with_its_hash():
    order = parse("eth_sendRawTransaction", "0x" + RAW.hex().upper())
    assert order.to_order(OrderPriority.HIGH).encode_request() == (
        b'{"method":"eth_sendRawTransaction","params":["0x'
        + RAW.hex().encode()
        + b'"],"id":0,"jsonrpc":"2.0"}'
    )
    assert order.kind is OrderKind.TRANSACTION
    assert order.hash == compute_keccak256(RAW)
    assert order.signer == USER.address
    assert order.cannot_fail
    assert (order.replacement, order.target_block) == (None, None)


def test_raw_transaction_has_one_key_whoever_sends_it():
    raw = "0x" + RAW.hex()
    keys = {parse("eth_sendRawTransaction", raw, source).key for source in OrderSource}
    assert len(keys) == 1


@pytest.mark.parametrize("param", [None, 1, {}, [], "", "0", "02ff", "0x0", "0xzz"])
def test_text_that_is_not_hexadecimal_is_no_parameter(param):
    with pytest.raises(OrderParamsError):
        parse("eth_sendRawTransaction", param)


@pytest.mark.parametrize("param", ["0x", "0x05", "0x" + RAW[:-1].hex()])
def test_bytes_that_are_no_transaction_are_refused(param):
    with pytest.raises(OrderRuleError, match=r"^transaction: "):
        parse("eth_sendRawTransaction", param)


def test_chain_is_the_parsers():
    param = json.dumps(VECTORS["transactions"]["transfer_sepolia"]).encode()
    request = make_request()
    with pytest.raises(OrderRuleError, match="for chain 11155111, not 1"):
        OrderParser().parse("eth_sendRawTransaction", [param], request)
    assert OrderParser(chain_id=SEPOLIA).parse("eth_sendRawTransaction", [param], request).hash


def test_cancellation_gets_the_users_address():
    order = parse("eth_cancelBundle", {"replacementUuid": UUID_TEXT.upper()})
    assert order.params.decode() == (
        '{"replacementUuid":"' + UUID_TEXT + '","signingAddress":"' + USER_TEXT + '"}'
    )
    assert order.kind is OrderKind.CANCELLATION
    assert order.replacement == Replacement(UUID(UUID_TEXT), None)
    again = parse("eth_cancelBundle", json.loads(order.params), OrderSource.PEER)
    assert (again.key, again.hash, again.signer) == (order.key, order.hash, USER.address)


def test_cancellation_of_a_peer_without_a_user_is_its_own():
    order = parse("eth_cancelBundle", {"replacementUuid": UUID_TEXT}, OrderSource.PEER)
    assert order.signer == PEER.address
    assert json.loads(order.params)["signingAddress"] is None


def test_user_cannot_cancel_for_another():
    with pytest.raises(OrderRuleError, match=r"^signing address field should not be set$"):
        parse("eth_cancelBundle", {"replacementUuid": UUID_TEXT, "signingAddress": USER_TEXT})


@pytest.mark.parametrize(
    "param", [{}, [], UUID_TEXT, {"replacementUuid": None}, {"replacementUuid": "x"}]
)
def test_cancellation_needs_a_uuid(param):
    with pytest.raises(OrderParamsError):
        parse("eth_cancelBundle", param)


def test_subsidy_is_forwarded_for_flashbots_alone():
    order = parse("bid_subsidiseBlock", 1000, OrderSource.FLASHBOTS)
    assert order.to_order(OrderPriority.HIGH).encode_request() == (
        b'{"method":"bid_subsidiseBlock","params":[1000],"id":0,"jsonrpc":"2.0"}'
    )
    assert order.kind is OrderKind.SUBSIDY
    with pytest.raises(OrderRuleError, match=r"^subsidy can only be called on system API$"):
        parse("bid_subsidiseBlock", 1000)
    with pytest.raises(OrderRuleError, match=r"^subsidy can only be called by Flashbots$"):
        parse("bid_subsidiseBlock", 1000, OrderSource.PEER)


@pytest.mark.parametrize("param", [-1, 2**64, "1000", 1.5, None, True])
def test_subsidy_is_a_number_of_64_bits(param):
    with pytest.raises(OrderParamsError):
        parse("bid_subsidiseBlock", param, OrderSource.FLASHBOTS)


@pytest.mark.parametrize("method", ["", "eth_call", "ETH_SENDBUNDLE", "eth_sendBundle "])
def test_other_method_is_unknown(method):
    with pytest.raises(UnknownMethodError, match=f"^Method not found: {method}$"):
        parse(method, {})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("params", [[], [b"{}", b"{}"]])
def test_every_method_takes_one_parameter(method, params):
    with pytest.raises(OrderParamsError, match="takes an array of one parameter"):
        OrderParser().parse(method, params, make_request(OrderSource.FLASHBOTS))


def test_order_key_tells_parts_apart():
    keys = {
        compute_order_key("m", b"ab", b"c"),
        compute_order_key("m", b"a", b"bc"),
        compute_order_key("m", b"ab", None),
        compute_order_key("m", (b"ab",), b"c"),
        compute_order_key("ma", b"b", b"c"),
        compute_order_key("m", 1),
        compute_order_key("m", True),
    }
    assert len(keys) == 7
    assert {len(key) for key in keys} == {16}


def test_address_of_the_go_proxys_test_user_is_ours():
    assert Address.parse(USER_TEXT) == USER.address


@pytest.mark.parametrize(
    ("method", "param", "expected"),
    [
        ("eth_cancelBundle", b"[" * 200_000, True),
        ("eth_sendBundle", b'{"txs":[],"replacementUuid":"x"}', True),
        ("eth_sendBundle", b"{}", True),
        ("eth_sendBundle", b'{"txs":["0x00"]}', False),
        ("eth_sendBundle", b'{"txs":[],"x":"%b"}' % (b"x" * 200_000), False),
        ("eth_sendBundle", b'{"txs":5}', False),
        ("eth_sendBundle", b"[" * 100_000, False),
        ("eth_sendBundle", b"\xff", False),
        ("mev_sendBundle", b'{"body":[]}', True),
        ("mev_sendBundle", b'{"txs":[],"body":[{}]}', False),
        ("eth_sendRawTransaction", b'"0x"', False),
        ("eth_call", b"{}", False),
    ],
)
def test_cancellations_are_told_without_decoding(method, param, expected):
    assert is_cancellation(method, [param]) is expected
    if method == "eth_sendBundle":
        assert not is_cancellation(method, [])
