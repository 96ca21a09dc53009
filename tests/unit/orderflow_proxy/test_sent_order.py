# SPDX-License-Identifier: MIT
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.net.jsonrpc import JsonRpcError
from buildernet.orderflow_proxy.order import Order, OrderKind, OrderPriority
from buildernet.orderflow_proxy.sent_order import parse_sent

UUID = "11111111-2222-5333-8444-555555555555"


def parse(method: str, param: Any) -> Order:
    return parse_sent(
        method, json.dumps(param).encode(), priority=OrderPriority.LOW, received_at_us=5
    )


def test_bundle_gets_a_version_and_loses_times_of_zero() -> None:
    order = parse("eth_sendBundle", {"txs": ["0x01"], "minTimestamp": 0, "maxTimestamp": 7})
    assert json.loads(order.params) == {"txs": ["0x01"], "maxTimestamp": 7, "version": "v1"}
    assert (order.kind, order.target_block) == (OrderKind.BUNDLE, None)


@pytest.mark.parametrize("version", [None, ""])
def test_a_version_that_nodes_refuse_becomes_one(version: str | None) -> None:
    order = parse("eth_sendBundle", {"txs": ["0x01"], "version": version})
    assert json.loads(order.params)["version"] == "v1"


@pytest.mark.parametrize(
    ("block", "expected"), [("0x64", 100), ("0x0", None), ("0x", None), (None, None)]
)
def test_block(block: str | None, expected: int | None) -> None:
    assert parse("eth_sendBundle", {"txs": ["0x"], "blockNumber": block}).target_block == expected


def test_bundle_without_transactions_cancels() -> None:
    order = parse("eth_sendBundle", {"txs": [], "replacementUuid": UUID, "replacementNonce": 3})
    assert order.kind is OrderKind.CANCELLATION
    assert order.replacement is not None
    assert (str(order.replacement.uuid), order.replacement.nonce) == (UUID, 3)


def test_other_methods_pass_as_they_came() -> None:
    mev = {"version": "v0.1", "inclusion": {"block": "0x1", "maxBlock": "0x5"}, "minTimestamp": 0}
    order = parse("mev_sendBundle", mev)
    assert json.loads(order.params) == mev
    assert order.target_block == 5
    assert parse("eth_sendRawTransaction", "0x01").kind is OrderKind.TRANSACTION
    assert parse("bid_subsidiseBlock", 1000).params == b"1000"
    assert parse("eth_cancelBundle", {"replacementUuid": UUID}).kind is OrderKind.CANCELLATION


@pytest.mark.parametrize(
    ("method", "param"),
    [
        ("eth_call", {}),
        ("eth_sendBundle", []),
        ("eth_sendRawTransaction", {}),
        ("bid_subsidiseBlock", True),
        ("eth_sendBundle", {"blockNumber": "12"}),
        ("eth_sendBundle", {"blockNumber": 12}),
        ("eth_sendBundle", {"blockNumber": "0x" + "f" * 40}),
        ("eth_sendBundle", {"replacementUuid": "x"}),
        ("eth_sendBundle", {"replacementUuid": 7}),
        ("eth_sendBundle", {"replacementUuid": UUID, "replacementNonce": "1"}),
        ("eth_sendBundle", {"signingAddress": "0x1"}),
        ("mev_sendBundle", {"metadata": "x"}),
    ],
)
def test_another_shape_is_refused(method: str, param: Any) -> None:
    with pytest.raises(JsonRpcError):
        parse(method, param)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(UUID),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["txs", "blockNumber", "replacementUuid", "uuid", "metadata", "signer", "inclusion",
             "block", "maxBlock", "replacementNonce", "signingAddress", "minTimestamp"]
        ),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(["eth_sendBundle", "mev_sendBundle", "eth_cancelBundle"]), _values)
@settings(max_examples=150)
def test_any_parameter_gives_an_order_or_our_error(method: str, value: Any) -> None:
    try:
        order = parse(method, value)
    except JsonRpcError:
        return
    assert isinstance(json.loads(order.params), dict)
