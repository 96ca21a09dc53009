# SPDX-License-Identifier: MIT
import json
from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.order import (
    OrderKind,
    OrderPriority,
    OrderRefusedError,
    OrderSource,
)
from buildernet.orderflow_proxy.orders.errors import OrderParamsError, OrderRuleError
from buildernet.orderflow_proxy.orders.parsed import ParsedOrder
from buildernet.orderflow_proxy.orders.parser import OrderParser
from tests.support.orders import USER, VECTORS, make_request, make_transaction

TX = "0x" + make_transaction(2).hex()
OTHER_TX = "0x" + make_transaction(2, data=b"\1").hex()
UUID_TEXT = "550e8400-e29b-41d4-a716-446655440000"
USER_TEXT = "0x9349365494be4f6205e5d44bdc7ec7dcd134becf"
ADDRESS = "0x" + "cd" * 20
NESTED: dict[str, Any] = {
    "version": "v0.1",
    "inclusion": {"block": "0x1", "maxBlock": "0x0"},
    "body": [{"tx": TX}, {"tx": OTHER_TX, "canRevert": True}],
    "validity": {},
}


def parse(params: Any, source: OrderSource = OrderSource.USER, *, later_us: int = 0) -> ParsedOrder:
    text = params if isinstance(params, bytes) else json.dumps(params).encode()
    request = make_request(source)
    request = replace(request, received_at_us=request.received_at_us + later_us)
    return OrderParser().parse("mev_sendBundle", [text], request)


def make_bundle(**params: Any) -> dict[str, Any]:
    return {"version": "v0.1", "inclusion": {"block": "0xa"}, "body": [{"tx": TX}], **params}


def test_nested_bundle_of_the_vector_has_its_hash():
    vector = VECTORS["mev_bundle"]
    order = parse(vector["params"], OrderSource.FLASHBOTS)
    assert "0x" + order.hash.hex() == vector["hash"]
    assert order.signer == Address.parse("0x4696595f68034b47BbEc82dB62852B49a8EE7105")
    assert len(order.transactions) == 3
    assert parse(order.params, OrderSource.FLASHBOTS).params == order.params


def test_replacements_are_forwarded_as_the_go_proxy_writes_them_but_for_their_numbers():
    # It counts 0, 1, 2 until it forgets; the time of arrival grows over restarts and nodes.
    bundle = make_bundle(replacementUuid=UUID_TEXT)
    bodies = [
        parse(params, later_us=number).to_order(OrderPriority.LOW).encode_request().decode()
        for number, params in enumerate(
            (
                bundle,
                {**bundle, "body": [{"tx": OTHER_TX}]},
                {"version": "v0.1", "replacementUuid": UUID_TEXT},
            )
        )
    ]
    head = '{"method":"mev_sendBundle","params":[{"version":"v0.1","replacementUuid":"' + UUID_TEXT
    tail = '}}],"id":0,"jsonrpc":"2.0"}'
    live = '","inclusion":{"block":"0xa","maxBlock":"0x0"},"body":[{"tx":"%s"}],"validity":{}'
    signer = ',"metadata":{"signer":"' + USER_TEXT + '","replacementNonce":'
    gone = '","inclusion":{"block":"0x0","maxBlock":"0x0"},"body":null,"validity":{}'
    assert bodies == [
        head + live % TX + signer + "1730000000000000" + tail,
        head + live % OTHER_TX + signer + "1730000000000001" + tail,
        head + gone + signer + '1730000000000002,"cancelled":true' + tail,
    ]


def test_every_member_is_forwarded_in_order_and_unchanged():
    bundle = {
        "version": "v0.1",
        "replacementUuid": UUID_TEXT,
        "inclusion": {"block": "0x1", "maxBlock": "0x5"},
        "body": [{"tx": TX, "canRevert": True, "revertMode": "drop"}, {"bundle": NESTED}],
        "validity": {
            "refund": [{"bodyIdx": 1, "percent": 90}],
            "refundConfig": [{"address": ADDRESS, "percent": 100}],
        },
        "metadata": {"signer": USER_TEXT, "replacementNonce": 3, "cancelled": False},
    }
    order = parse(bundle, OrderSource.PEER)
    assert order.params.decode() == json.dumps(bundle, separators=(",", ":"))
    assert order.kind is OrderKind.MEV_BUNDLE
    assert order.target_block == 5
    assert order.replacement is not None
    assert (order.replacement.uuid, order.replacement.nonce) == (UUID(UUID_TEXT), 3)
    assert order.signer == USER.address


def test_cancellation_is_known_by_its_empty_body_or_its_mark():
    empty = {"version": "v0.1", "replacementUuid": UUID_TEXT, "body": []}
    assert parse(empty).kind is OrderKind.CANCELLATION
    marked = make_bundle(replacementUuid=UUID_TEXT, metadata={"cancelled": True})
    assert parse(marked, OrderSource.PEER).kind is OrderKind.CANCELLATION


def test_nested_bundle_without_metadata_is_no_trouble():
    # The Go proxy panics on it while it computes its unique key.
    order = parse(make_bundle(body=[{"bundle": NESTED}]), OrderSource.PEER)
    assert len(order.transactions) == 2
    assert not order.cannot_fail


def test_replacement_that_returns_to_an_earlier_content_is_no_duplicate():
    bundle = make_bundle(replacementUuid=UUID_TEXT)
    other = {**bundle, "body": [{"tx": OTHER_TX}]}
    keys = {parse(each, later_us=at).key for at, each in enumerate((bundle, other, bundle))}
    assert len(keys) == 3
    unnamed = make_bundle()
    assert parse(unnamed).key == parse(unnamed, later_us=1).key


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"version": "v0.1"}, "^bundle with no txs$"),
        (make_bundle(body=[{"bundle": {**NESTED, "body": []}}]), "^bundle with no txs$"),
        (make_bundle(metadata={}), "^mev share bundle should not contain metadata"),
        (
            make_bundle(body=[{"bundle": {**NESTED, "metadata": {"signer": ADDRESS}}}]),
            "^mev share bundle should not contain metadata",
        ),
        (make_bundle(body=[{"hash": "0x" + "11" * 32}]), "^mev bundle with unmatched tx$"),
        (
            make_bundle(body=[{"bundle": {**NESTED, "body": [{"bundle": NESTED}]}}]),
            "^mev bundle too deep$",
        ),
        (make_bundle(body=[{"tx": "0x02"}]), r"^body\[0\]\.tx: "),
    ],
)
def test_rule_is_kept(params, message):
    with pytest.raises(OrderRuleError, match=message):
        parse(params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (make_bundle(body=[{"tx": TX}] * 51), "more than 50 entries"),
        (
            make_bundle(body=[{"bundle": {**NESTED, "body": [{"tx": TX}] * 25}}] * 2),
            "more than 50 entries",
        ),
        (make_bundle(privacy={}), r"Expected `null`, got `object` - at `\$.privacy`"),
        (make_bundle(body=[{}]), "exactly one of tx and bundle"),
        (make_bundle(body=[{"tx": TX, "bundle": NESTED}]), "exactly one of tx and bundle"),
        (make_bundle(body=[{"tx": TX, "revertMode": "no"}]), "revertMode is not"),
        (make_bundle(body=[{"tx": TX, "canRevert": 1}]), "Expected `bool`"),
        (make_bundle(inclusion={"block": "10"}), "inclusion.block is not"),
        (make_bundle(inclusion={"maxBlock": "0x" + "1" * 17}), "inclusion.maxBlock is not"),
        (make_bundle(replacementUuid="x"), "replacementUuid is no UUID"),
        (make_bundle(validity={"refund": [{"bodyIdx": 1, "percent": 1}]}), "bodyIdx"),
        (make_bundle(validity={"refund": [{"bodyIdx": 0, "percent": 101}]}), "percent"),
        (make_bundle(validity={"refund": [{"bodyIdx": 0, "percent": 1}] * 51}), "more than 50"),
        (
            make_bundle(validity={"refundConfig": [{"address": "0x", "percent": 1}]}),
            "refundConfig.address is not",
        ),
    ],
)
def test_malformed_parameter_is_refused(params, message):
    with pytest.raises(OrderParamsError, match=message):
        parse(params)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"signer": "0x"}, "metadata.signer"),
        ({"replacementNonce": -1}, "metadata.replacementNonce"),
    ],
)
def test_malformed_metadata_is_refused(metadata, message):
    with pytest.raises(OrderParamsError, match=message):
        parse(make_bundle(metadata=metadata), OrderSource.PEER)


def test_deep_nesting_is_refused_before_it_costs_a_stack():
    text = b'{"body":[{"bundle":' * 50_000
    with pytest.raises(OrderParamsError):
        parse(text)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_text_raises_our_error_or_parses(data):
    bundle = deepcopy(NESTED)
    bundle["body"].append({"bundle": NESTED})
    text = bytearray(json.dumps(bundle).encode())
    if data.draw(st.booleans()):
        del text[data.draw(st.integers(0, len(text) - 1)) :]
    else:
        bit = data.draw(st.integers(0, 8 * len(text) - 1))
        text[bit // 8] ^= 1 << bit % 8
    try:
        parse(bytes(text))
    except OrderRefusedError:
        return
