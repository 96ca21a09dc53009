# SPDX-License-Identifier: MIT
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.transaction import decode_transaction
from buildernet.orderflow_proxy.order import (
    OrderKind,
    OrderPriority,
    OrderRefusedError,
    OrderSource,
    Replacement,
)
from buildernet.orderflow_proxy.orders.errors import OrderParamsError, OrderRuleError
from buildernet.orderflow_proxy.orders.parsed import OrderRequest, ParsedOrder
from buildernet.orderflow_proxy.orders.parser import OrderParser
from tests.support.orders import (
    ACCOUNT,
    PEER,
    RECEIVED_AT_US,
    USER,
    make_request,
    make_transaction,
)

RAW = make_transaction(2)
TX = "0x" + RAW.hex()
TX_HASH = "0x" + decode_transaction(RAW).hash.hex()
UUID_TEXT = "550e8400-e29b-41d4-a716-446655440000"
USER_TEXT = "0x9349365494be4f6205e5d44bdc7ec7dcd134becf"
HASH = "0x" + "ab" * 32
OTHER_HASH = "0x" + "0a" * 32
ADDRESS = "0x" + "cd" * 20

EVERYTHING = {
    "txs": [TX],
    "blockNumber": "0x10",
    "minTimestamp": 1,
    "maxTimestamp": 2**64 - 1,
    "revertingTxHashes": [HASH, OTHER_HASH],
    "replacementUuid": UUID_TEXT,
    "version": "v2",
    "replacementNonce": 7,
    "signingAddress": USER_TEXT,
    "refundIdentity": ADDRESS,
    "droppingTxHashes": [OTHER_HASH],
    "refundPercent": 99,
    "refundRecipient": ADDRESS,
    "refundTxHashes": [HASH],
    "delayedRefund": True,
    "desiredState": "BottomOfBlock",
    "targetAddresses": [ADDRESS, USER_TEXT],
    "targetSlots": [[HASH], []],
}
"""Every member, in the order in which it is forwarded."""


def parse(params: Any, source: OrderSource = OrderSource.USER) -> ParsedOrder:
    text = params if isinstance(params, bytes) else json.dumps(params).encode()
    return OrderParser().parse("eth_sendBundle", [text], make_request(source))


def from_peer(**params: Any) -> ParsedOrder:
    return parse({"version": "v2", "signingAddress": USER_TEXT, **params}, OrderSource.PEER)


@pytest.mark.parametrize(
    ("params", "forwarded"),
    [
        (
            {"txs": [TX], "blockNumber": "0x3e8"},
            '{"txs":["' + TX + '"],"blockNumber":"0x3e8","version":"v2","signingAddress":"%s"}',
        ),
        (
            {"blockNumber": "0x3ea", "replacementUuid": UUID_TEXT},
            '{"txs":null,"blockNumber":"0x3ea","replacementUuid":"' + UUID_TEXT + '","version":"v2"'
            ',"replacementNonce":1730000000000000,"signingAddress":"%s"}',
        ),
        (
            {"blockNumber": "0x3ea", "replacementUuid": UUID_TEXT, "replacementNonce": 8976},
            '{"txs":null,"blockNumber":"0x3ea","replacementUuid":"' + UUID_TEXT + '","version":"v2"'
            ',"replacementNonce":8976,"signingAddress":"%s"}',
        ),
        (
            {"uuid": UUID_TEXT.upper(), "version": ""},
            '{"txs":null,"blockNumber":null,"replacementUuid":"' + UUID_TEXT + '","version":"v2"'
            ',"replacementNonce":1730000000000000,"signingAddress":"%s"}',
        ),
    ],
)
def test_users_bundle_is_forwarded_as_the_go_proxy_writes_it(params, forwarded):
    assert parse(params).to_order(OrderPriority.LOW).encode_request().decode() == (
        '{"method":"eth_sendBundle","params":['
        + forwarded % USER_TEXT
        + '],"id":0,"jsonrpc":"2.0"}'
    )


def test_every_member_is_forwarded_in_order_and_unchanged():
    order = parse(EVERYTHING, OrderSource.PEER)
    assert order.params.decode() == json.dumps(EVERYTHING, separators=(",", ":"))
    again = parse(order.params, OrderSource.PEER)
    assert (again.params, again.key, again.hash) == (order.params, order.key, order.hash)


def test_spelling_is_normalised_and_what_nobody_knows_is_left_out():
    order = parse(
        {
            "txs": ["0x" + RAW.hex().upper()],
            "blockNumber": "0x00AB",
            "revertingTxHashes": ["0x" + "AB" * 32],
            "droppingTxHashes": None,
            "minTimestamp": None,
            "bundleHash": HASH,
            "privacy": {},
        }
    )
    assert json.loads(order.params) == {
        "txs": [TX],
        "blockNumber": "0xab",
        "revertingTxHashes": [HASH],
        "version": "v2",
        "signingAddress": USER_TEXT,
    }
    assert order.target_block == 0xAB


def test_order_says_what_the_queues_need():
    order = parse({"txs": [TX], "blockNumber": "0x10", "uuid": UUID_TEXT}).to_order(
        OrderPriority.HIGH
    )
    assert order.kind is OrderKind.BUNDLE
    assert order.hash == compute_keccak256(bytes.fromhex(TX_HASH[2:]))
    assert order.signer == USER.address
    assert order.source is OrderSource.USER
    assert order.peer == "user-request"
    assert order.priority is OrderPriority.HIGH
    assert order.target_block == 16
    assert order.replacement == Replacement(UUID(UUID_TEXT), RECEIVED_AT_US)
    assert order.received_at_us == RECEIVED_AT_US


def test_transactions_are_decoded_with_their_senders():
    (transaction,) = parse({"txs": [TX]}).transactions
    assert transaction.sender == ACCOUNT.address


@pytest.mark.parametrize("block", [None, "0x", "0x0"])
def test_bundle_without_a_block_is_for_the_next_one(block):
    assert parse({"txs": [TX], "blockNumber": block}).target_block is None


def test_empty_bundle_with_a_replacement_uuid_is_a_cancellation():
    order = parse({"txs": [], "replacementUuid": UUID_TEXT})
    assert order.kind is OrderKind.CANCELLATION
    assert order.hash.hex() == compute_keccak256(b"").hex()
    refunding = parse({"replacementUuid": UUID_TEXT, "refundPercent": 10})
    assert refunding.kind is OrderKind.CANCELLATION


@pytest.mark.parametrize("txs", [[], None])
@pytest.mark.parametrize("source", [OrderSource.USER, OrderSource.PEER])
def test_empty_bundle_that_cancels_nothing_is_refused(source, txs):
    """In an empty list every transaction may be left out, so FlowProxy takes it and goes first."""
    with pytest.raises(OrderRuleError, match="bundle with no txs"):
        parse({"txs": txs, "blockNumber": "0x3e8", "version": "v2"}, source)


def test_bundle_cannot_fail_when_every_transaction_may_revert():
    other = make_transaction(2, data=b"\1")
    assert parse({"txs": [TX], "revertingTxHashes": [TX_HASH]}).cannot_fail
    assert not parse({"txs": [TX]}).cannot_fail
    assert not parse({"txs": [TX, "0x" + other.hex()], "revertingTxHashes": [TX_HASH]}).cannot_fail


def test_peer_names_the_user_as_signer():
    order = from_peer(txs=[TX]).to_order(OrderPriority.LOW)
    assert order.signer == USER.address
    assert order.peer == "other-node"
    assert parse({"txs": [TX], "version": "v2"}, OrderSource.PEER).signer == PEER.address


@pytest.mark.parametrize(
    ("source", "params", "message"),
    [
        (OrderSource.USER, {"signingAddress": ADDRESS}, "^signing address field should not be set"),
        (OrderSource.USER, {"version": "v3"}, "^invalid version$"),
        (OrderSource.PEER, {"version": "v3"}, "^invalid version$"),
        (OrderSource.PEER, {}, "^version field should be set$"),
        (OrderSource.FLASHBOTS, {"version": ""}, "^version field should be set$"),
    ],
)
def test_rule_of_a_side_is_kept(source, params, message):
    with pytest.raises(OrderRuleError, match=message):
        parse(params, source)


@pytest.mark.parametrize("source", [OrderSource.USER, OrderSource.PEER])
@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"droppingTxHashes": [HASH]}, "dropping tx hashes"),
        ({"refundPercent": 0}, "refund percent"),
        ({"refundRecipient": ADDRESS}, "refund recipient"),
        ({"refundTxHashes": [HASH]}, "refund tx hashes"),
        ({"desiredState": "BottomOfBlock"}, "desired state"),
        ({"targetAddresses": [ADDRESS]}, "target addresses"),
        ({"targetAddresses": [ADDRESS], "targetSlots": [[]]}, "target addresses"),
    ],
)
def test_v1_refuses_what_it_cannot_say(source, params, name):
    with pytest.raises(OrderRuleError, match=f"^{name} field should not be set$"):
        parse({"version": "v1", **params}, source)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "Expected `object`"),
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"txs":["\xff"]}', "utf-8"),
        (b'{"a":' + b"[" * 100_000, "nested too deep"),
        ({"txs": TX}, "Expected `array"),
        ({"txs": [1]}, "Expected `str`"),
        ({"txs": [TX[2:]]}, r"txs\[0\] is not 0x"),
        ({"txs": [TX + "0"]}, r"txs\[0\] is not 0x"),
        ({"txs": ["0x" + " ".join(TX[2:])]}, r"txs\[0\] is not 0x"),
        ({"txs": [TX] * 101}, "txs has 101 entries, more than 100"),
        ({"blockNumber": 16}, "Expected `str"),
        ({"blockNumber": "16"}, "blockNumber is not 0x"),
        ({"blockNumber": "0x" + "1" * 17}, "blockNumber is not 0x"),
        ({"minTimestamp": "1"}, "Expected `int"),
        ({"minTimestamp": True}, "Expected `int"),
        ({"minTimestamp": -1}, "minTimestamp is not between"),
        ({"maxTimestamp": 2**64}, "maxTimestamp is not between"),
        ({"replacementNonce": 2**70}, "replacementNonce is not between"),
        ({"revertingTxHashes": ["0x12"]}, r"revertingTxHashes\[0\] is not"),
        ({"revertingTxHashes": [HASH] * 101}, "revertingTxHashes has 101"),
        ({"droppingTxHashes": [HASH, HASH + "0"]}, r"droppingTxHashes\[1\] is not"),
        ({"replacementUuid": "x"}, "replacementUuid is no UUID"),
        ({"replacementUuid": UUID_TEXT.replace("-", "")}, "replacementUuid is no UUID"),
        ({"uuid": UUID_TEXT, "replacementUuid": UUID_TEXT}, "^one of uuid or replacementUuid"),
        ({"refundPercent": 100}, "refundPercent is above 99"),
        ({"refundRecipient": "0x"}, "refundRecipient is not"),
        ({"refundTxHashes": [HASH, HASH]}, "^no more than one refund tx hash is allowed$"),
        ({"delayedRefund": 1}, "Expected `bool"),
        ({"desiredState": "Top"}, "desiredState is not"),
        ({"targetAddresses": [ADDRESS] * 101}, "targetAddresses has more"),
        ({"targetSlots": [[]]}, "targetSlots has not one list"),
        ({"targetAddresses": [ADDRESS], "targetSlots": [[HASH] * 1001]}, "targetSlots has more"),
    ],
)
def test_malformed_parameter_is_refused(params, message):
    with pytest.raises(OrderParamsError, match=message):
        parse(params)


@pytest.mark.parametrize("raw", ["0x", "0x02", TX[:-2]])
def test_bytes_that_are_no_transaction_are_refused(raw):
    with pytest.raises(OrderRuleError, match=r"^txs\[1\]: "):
        parse({"txs": [TX, raw]})


def test_transaction_that_no_block_may_hold_is_refused_from_peers_too():
    raw = "0x" + make_transaction(4, authorizations=()).hex()
    for source in OrderSource:
        with pytest.raises(OrderRuleError, match=r"txs\[0\]: .*EIP-7702"):
            parse({"version": "v2", "txs": [raw]}, source)


def test_key_is_the_same_for_the_same_bundle_however_it_comes():
    by_user = parse({"txs": [TX], "revertingTxHashes": [HASH, OTHER_HASH]})
    assert len(by_user.key) == 16
    assert from_peer(txs=[TX], revertingTxHashes=[OTHER_HASH, HASH]).key == by_user.key


def test_key_differs_by_signer():
    # FlowProxy leaves the signer out, so that one user's bundle hides another's.
    request = OrderRequest(OrderSource.USER, PEER.address, "user-request", RECEIVED_AT_US)
    other = OrderParser().parse("eth_sendBundle", [json.dumps({"txs": [TX]}).encode()], request)
    assert other.key != parse({"txs": [TX]}).key


def test_replacement_is_never_a_duplicate_of_an_earlier_one():
    params = {"txs": [TX], "replacementUuid": UUID_TEXT}
    later = OrderRequest(OrderSource.USER, USER.address, "user-request", RECEIVED_AT_US + 1)
    again = OrderParser().parse("eth_sendBundle", [json.dumps(params).encode()], later)
    assert again.key != parse(params).key


def test_every_member_enters_the_key():
    base = {**EVERYTHING, "uuid": None}
    keys = {parse(base, OrderSource.PEER).key}
    changes: list[dict[str, Any]] = [
        {"txs": [TX, TX]},
        {"blockNumber": "0x11"},
        {"minTimestamp": None},
        {"maxTimestamp": 3},
        {"revertingTxHashes": None},
        {"replacementUuid": UUID_TEXT.replace("5", "6")},
        {"replacementNonce": 8},
        {"signingAddress": ADDRESS},
        {"refundIdentity": None},
        {"droppingTxHashes": [HASH]},
        {"refundPercent": 98},
        {"refundRecipient": None},
        {"refundTxHashes": [OTHER_HASH]},
        {"delayedRefund": False},
        {"desiredState": None},
        {"targetAddresses": [USER_TEXT, ADDRESS]},
        {"targetSlots": [[], [HASH]]},
        {"targetSlots": [[HASH], [HASH]]},
    ]
    keys |= {parse({**base, **change}, OrderSource.PEER).key for change in changes}
    assert len(keys) == len(changes) + 1


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_text_raises_our_error_or_parses(data):
    text = bytearray(json.dumps({**EVERYTHING, "txs": []}).encode())
    if data.draw(st.booleans()):
        del text[data.draw(st.integers(0, len(text) - 1)) :]
    else:
        bit = data.draw(st.integers(0, 8 * len(text) - 1))
        text[bit // 8] ^= 1 << bit % 8
    try:
        parse(bytes(text), OrderSource.PEER)
    except OrderRefusedError:
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(
    params=st.dictionaries(st.sampled_from([*EVERYTHING, "uuid"]), json_values), user=st.booleans()
)
def test_any_json_raises_our_error_or_parses(params, user):
    try:
        order = parse(params, OrderSource.USER if user else OrderSource.PEER)
    except OrderRefusedError:
        return
    assert json.loads(order.params)["version"] in ("v1", "v2")
