# SPDX-License-Identifier: MIT
"""Bodies of POST /orderflow/share: what is signed, what is refused, nothing else escapes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.address import Address
from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.errors import ShareError, ShareSignatureError
from buildernet.orderflow_proxy.order import Order, OrderKind, OrderPriority, OrderSource

NOW = 1_780_000_000
KEY = SigningKey(b"\1" * 32)
ORDER = Order(
    method="eth_sendBundle",
    kind=OrderKind.BUNDLE,
    params=b'{"txs":["0x02"],"blockNumber":"0x1"}',
    key=b"k" * 16,
    hash=b"h" * 32,
    signer=Address(b"\2" * 20),
    source=OrderSource.USER,
    peer="user-request",
    priority=OrderPriority.HIGH,
    target_block=1,
    replacement=None,
    received_at_us=NOW * 1_000_000 + 7,
)
BODY = share.encode_request(
    [share.encode_entry(ORDER, now_s=NOW)] * 3, key=KEY, target_block=1, timestamp=NOW
)


def changed(**members: object) -> bytes:
    """The request with other members, signed again as another implementation would write it."""
    body = {**json.loads(BODY), **members, "signature": ""}
    unsigned = json.dumps(body, indent=1).encode()
    signature = sign_body(KEY, unsigned).partition(":")[2]
    return unsigned.replace(b'"signature": ""', b'"signature": "%b"' % signature.encode())


def test_a_request_comes_back():
    request = share.parse_request(BODY)
    share.check_request(request, now_s=NOW)
    assert request.source == KEY.address
    assert (request.target_block, request.timestamp) == (1, NOW)
    assert [bytes(e.params) for e in request.entries] == [ORDER.params] * 3
    assert request.entries[0].priority == "high"
    assert request.entries[0].timestamp == NOW


def test_an_order_that_came_before_the_clock_was_set_back_is_not_from_the_future():
    entry = share.encode_entry(ORDER, now_s=NOW - 3600)
    body = share.encode_request([entry], key=KEY, target_block=1, timestamp=NOW - 3600)
    request = share.parse_request(body)
    share.check_request(request, now_s=NOW - 3600)
    assert request.entries[0].timestamp == NOW - 3600


def test_one_signature_whatever_white_space_and_order_of_members():
    body = changed()
    assert share.parse_request(body).source == KEY.address
    reordered = dict(reversed(json.loads(BODY).items()))
    unsigned = json.dumps({**reordered, "signature": ""}).encode()
    signature = sign_body(KEY, unsigned).partition(":")[2]
    signed = unsigned.replace(b'"signature": ""', b'"signature": "%b"' % signature.encode())
    assert share.parse_request(signed).source == KEY.address


def test_it_names_the_members_of_the_draft():
    assert list(json.loads(BODY)) == [
        "source_node", "orderflow", "target_block", "timestamp", "signature",
    ]  # fmt: skip
    assert json.loads(share.encode_response(now_s=NOW)) == {
        "success": True, "error": None, "timestamp": NOW,
    }  # fmt: skip


@pytest.mark.parametrize(
    "members",
    [
        {"orderflow": []},
        {"orderflow": [{"source": "peer", "timestamp": 1}] * (share.MAX_ENTRIES + 1)},
        {"orderflow": [1]},
        {"target_block": "1"},
        {"target_block": "0x" + "f" * 17},
        {"target_block": 1},
        {"timestamp": "1"},
        {"source_node": "0x" + "1" * 64},
        {"source_node": KEY.address.hex()},
    ],
)
def test_another_shape_is_refused(members):
    with pytest.raises(ShareError):
        share.parse_request(changed(**members))


def test_another_nodes_signature_is_refused():
    other = share.encode_node_id(Address(b"\3" * 20))
    with pytest.raises(ShareSignatureError):
        share.parse_request(changed(source_node=other))


def test_a_signature_that_stands_twice_is_refused():
    signature = json.loads(BODY)["signature"]
    body = BODY.replace(b'"priority":"high"', b'"priority":"%b"' % signature.encode(), 1)
    with pytest.raises(ShareSignatureError):
        share.parse_request(body)
    escaped = BODY.replace(b'"0x' + signature[2:10].encode(), b'"\\u0030x' + b"", 1)
    with pytest.raises(ShareError):
        share.parse_request(escaped)


def test_the_twin_of_a_signature_has_the_same_nonce_or_is_refused():
    signature = bytes.fromhex(json.loads(BODY)["signature"][2:])
    for text in (
        "0x" + signature.hex().upper(),
        "0x" + (signature[:64] + bytes([signature[64] - 27])).hex(),
    ):
        twin = BODY.replace(json.loads(BODY)["signature"].encode(), text.encode())
        assert share.parse_request(twin).nonce == share.parse_request(BODY).nonce


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"timestamp": NOW + share.MAX_SKEW_S + 1}, "future"),
        ({"timestamp": NOW - share.MAX_AGE_S - 1}, "300 s old"),
        ({"orderflow": [{"source": "user", "timestamp": NOW}]}, "source"),
        ({"orderflow": [{"source": "peer", "timestamp": NOW + 9}]}, "future"),
        ({"orderflow": [{"source": "peer", "timestamp": -1}]}, "future"),
        ({"orderflow": [{"source": "peer", "timestamp": NOW, "priority": "top"}]}, "priority"),
    ],
)
def test_times_and_sources_are_checked(members, message):
    request = share.parse_request(changed(**members))
    with pytest.raises(ShareError, match=message):
        share.check_request(request, now_s=NOW)


@pytest.mark.parametrize("age", [-share.MAX_SKEW_S, 0, share.MAX_AGE_S])
def test_times_at_the_edge_are_taken(age):
    request = share.parse_request(changed(timestamp=NOW - age))
    share.check_request(request, now_s=NOW)


def test_what_does_not_fit_is_not_encoded():
    entry = b"x" * (share.MAX_ENTRIES_BYTES // 2)
    for entries in ([], [entry, entry], [b"{}"] * (share.MAX_ENTRIES + 1)):
        with pytest.raises(ShareError):
            share.encode_request(entries, key=KEY, target_block=0, timestamp=NOW)
    full = [b"x" * share.MAX_ENTRIES_BYTES]
    body = share.encode_request(full, key=KEY, target_block=2**64 - 1, timestamp=2**63 - 1)
    assert len(body) <= share.MAX_REQUEST_BYTES


def test_a_response_comes_back():
    refused = [share.Refusal(3, "x" * 5000)]
    answer = share.parse_response(share.encode_response(now_s=NOW + 0.9, refused=refused))
    assert answer.success
    assert answer.timestamp == NOW
    assert answer.refused[0].index == 3
    assert len(answer.refused[0].error) == 200
    failed = share.parse_response(share.encode_response(now_s=NOW, error="no"))
    assert (failed.success, failed.error) == (False, "no")
    endless = b'{"success":true,"error":null,"timestamp":1%b}' % (b"0" * 400)  # no float holds it
    for body in (b"", b"{}", b"[]", b"\xff", b"[" * 200_000, endless):
        with pytest.raises(ShareError):
            share.parse_response(body)


@settings(max_examples=150)
@given(st.integers(0, len(BODY) - 1), st.integers(0, 7))
def test_any_change_is_refused(index, bit):
    body = bytearray(BODY)
    body[index] ^= 1 << bit
    try:
        request = share.parse_request(bytes(body))
    except ShareError:
        pass
    else:  # the case of a letter within the signature is no change
        assert request == share.parse_request(BODY)
    with pytest.raises(ShareError):
        share.parse_request(BODY[:index])
