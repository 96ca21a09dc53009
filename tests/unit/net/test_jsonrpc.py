# SPDX-License-Identifier: MIT
"""JSON-RPC envelopes: what is taken, what is refused with which code, and nothing else escapes."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.net import jsonrpc
from buildernet.net.jsonrpc import InvalidRequestError, JsonRpcError, ParseError, Request

BODY = b'{"jsonrpc":"2.0","id":7,"method":"eth_sendBundle","params":[{"txs":[]}]}'


def parsed(body: bytes) -> Request:
    request = jsonrpc.parse_requests(body)
    assert isinstance(request, Request)
    return request


def test_a_request_keeps_its_parameters_undecoded():
    request = parsed(b" \n" + BODY)
    assert (request.method, request.id) == ("eth_sendBundle", 7)
    assert jsonrpc.single_param(request) == b'{"txs":[]}'


@pytest.mark.parametrize("text", ["1", "-1", "1.5", '"a"', "null"])
def test_an_id_is_echoed(text):
    request = parsed(b'{"jsonrpc":"2.0","method":"m","id":%b}' % text.encode())
    assert json.loads(jsonrpc.encode_result(request.id, None))["id"] == json.loads(text)


def test_a_missing_id_counts_as_null():
    assert parsed(b'{"jsonrpc":"2.0","method":"m"}').id is None


@pytest.mark.parametrize("text", ["true", "[]", "{}", '"' + "x" * 257 + '"'])
def test_another_id_is_refused(text):
    with pytest.raises(InvalidRequestError):
        jsonrpc.parse_requests(b'{"jsonrpc":"2.0","method":"m","id":%b}' % text.encode())


def test_a_wrong_version_is_refused_and_its_id_echoed():
    with pytest.raises(InvalidRequestError) as caught:
        jsonrpc.parse_requests(b'{"jsonrpc":"1.0","id":7,"method":"m"}')
    assert caught.value.request_id == 7


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"method":"\xff"}', BODY + b"x"])
def test_what_is_no_json_is_a_parse_error(body):
    with pytest.raises(ParseError) as caught:
        jsonrpc.parse_requests(body)
    assert caught.value.code == -32700


@pytest.mark.parametrize("body", [b"1", b"null", b"[1]", b"[]", b"{}", b"[[]]", b'{"method":1}'])
def test_json_that_is_no_request_is_invalid(body):
    with pytest.raises(InvalidRequestError) as caught:
        jsonrpc.parse_requests(body)
    assert caught.value.code == -32600


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_endless_nesting_is_a_parse_error(bracket):
    for body in (bracket * 200_000, b'{"jsonrpc":"2.0","method":"m","x":' + bracket * 200_000):
        with pytest.raises(JsonRpcError):
            jsonrpc.parse_requests(body)
    deep = Request("m", msgspec.Raw(bracket * 200_000))
    with pytest.raises(jsonrpc.InvalidParamsError):
        jsonrpc.single_param(deep)


def test_a_batch_keeps_its_order():
    batch = jsonrpc.parse_requests(b"[%b,%b]" % (BODY, BODY.replace(b"7", b'"b"')))
    assert isinstance(batch, tuple)
    assert [request.id for request in batch] == [7, "b"]


def test_a_batch_is_bounded_by_count_and_size():
    full = b"[%b]" % b",".join([BODY] * jsonrpc.MAX_BATCH_REQUESTS)
    batch = jsonrpc.parse_requests(full)
    assert isinstance(batch, tuple)
    assert len(batch) == jsonrpc.MAX_BATCH_REQUESTS
    for body in (
        b"[%b,%b" % (BODY, full[1:]),
        b"[" + b" " * jsonrpc.MAX_BATCH_BYTES + BODY + b"]",
    ):
        with pytest.raises(InvalidRequestError):
            jsonrpc.parse_requests(body)


@pytest.mark.parametrize("params", [b"[]", b"[1,2]", b"{}", b"null", b"1", b"[1" + b",1" * 10**6])
def test_other_than_one_parameter_is_refused(params):
    with pytest.raises(jsonrpc.InvalidParamsError) as caught:
        jsonrpc.single_param(Request("m", msgspec.Raw(params)))
    assert caught.value.code == -32602


def test_a_request_is_encoded_as_go_does():
    assert (
        jsonrpc.encode_request("eth_x", b'{"a":1}')
        == b'{"method":"eth_x","params":[{"a":1}],"id":0,"jsonrpc":"2.0"}'
    )


def test_an_answer_is_its_result_or_an_error():
    assert jsonrpc.parse_answer(jsonrpc.encode_result(1, {"a": 1})) == b'{"a":1}'
    error = jsonrpc.encode_error(1, jsonrpc.InvalidParamsError("no\nluck"))
    with pytest.raises(jsonrpc.RemoteError, match="no") as caught:
        jsonrpc.parse_answer(error)
    assert caught.value.code == -32602
    for body in (b"", b"[]", b"<html>", b"\xff"):
        with pytest.raises(jsonrpc.RemoteError):
            jsonrpc.parse_answer(body)


def test_an_unknown_method_is_shown_shortened():
    error = jsonrpc.unknown_method("x" * 5000 + "\n")
    assert error.status == 404
    assert len(error.message) < 100


@settings(max_examples=200)
@given(
    st.binary(max_size=80)
    | st.builds(
        bytes.join,
        st.just(b""),
        st.lists(
            st.sampled_from(
                [
                    b"{",
                    b"}",
                    b"[",
                    b"]",
                    b",",
                    b":",
                    b'"id"',
                    b'"method"',
                    b'"m"',
                    b"1",
                    b'"jsonrpc"',
                    b'"2.0"',
                    b'"params"',
                    b"null",
                    b"\\",
                    b'"',
                ]
            ),
            max_size=20,
        ),
    )
)
def test_any_bytes_give_a_request_or_our_error(body):
    try:
        jsonrpc.parse_requests(body)
    except JsonRpcError as exc:
        json.loads(jsonrpc.encode_error(exc.request_id, exc))


@given(st.integers(0, len(BODY) - 1), st.integers(0, 7))
def test_any_flipped_bit_gives_a_request_or_our_error(index, bit):
    body = bytearray(BODY)
    body[index] ^= 1 << bit
    for damaged in (bytes(body), BODY[:index]):
        try:
            request = parsed(damaged)
            jsonrpc.single_param(request)
        except JsonRpcError:
            pass
