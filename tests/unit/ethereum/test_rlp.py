# SPDX-License-Identifier: MIT
import pytest
from ethereum_rlp import rlp
from ethereum_types.numeric import Uint
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.errors import TransactionFormatError
from buildernet.ethereum.rlp import (
    encode_integer,
    encode_list_head,
    iterate_items,
    read_item,
    read_list,
)

values = st.recursive(
    st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5), max_leaves=12
)


def read_all(data: bytes, at: int, stop: int, depth: int = 0):
    """Read a value of any shape, as no caller of the module does."""
    is_list, start, end = read_item(data, at, stop)
    if not is_list:
        return data[start:end], end
    if depth > 100:
        raise TransactionFormatError("test stops here")
    items = [
        read_all(data, at, end, depth + 1)[0] for at, _, _, _ in iterate_items(data, start, end)
    ]
    return items, end


@settings(max_examples=60, deadline=None)
@given(value=values)
def test_encoded_value_is_read_back(value):
    data = rlp.encode(value)
    assert read_all(data, 0, len(data)) == (value, len(data))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(min_size=1, max_size=80))
def test_bytes_are_taken_exactly_when_the_specification_takes_them(data):
    try:
        specified = rlp.decode(data)
    except Exception:
        specified = None
    try:
        ours, end = read_all(data, 0, len(data))
    except TransactionFormatError:
        ours, end = None, len(data)
    assert (ours if end == len(data) else None) == specified


@given(value=st.integers(0, 2**256))
def test_integer_is_encoded_as_the_specification_does(value):
    assert encode_integer(value) == rlp.encode(Uint(value))


@pytest.mark.parametrize("length", [0, 1, 55, 56, 255, 256, 65_536])
def test_list_head_is_as_the_specifications(length):
    # A list of that many one-byte items has that many bytes of payload.
    assert encode_list_head(length) == rlp.encode([b"\1"] * length)[: -length or None]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends before"),
        (b"\x81", "longer than what holds it"),
        (b"\x81\x7f", "small byte"),
        (b"\xb8\x37" + bytes(55), "not the shortest"),
        (b"\xb9\x00\x38" + bytes(56), "not the shortest"),
        (b"\xbf" + b"\xff" * 8, "longer than what holds it"),
        (b"\xf8", "truncated"),
        (b"\xc1", "longer than what holds it"),
    ],
)
def test_item_that_is_not_canonical_is_refused(data, message):
    with pytest.raises(TransactionFormatError, match=message):
        read_item(data, 0, len(data))


def test_list_fills_what_holds_it():
    assert read_list(b"\xc1\x01", 0, 2) == (1, 2)
    with pytest.raises(TransactionFormatError, match="a string where a list"):
        read_list(b"\x01", 0, 1)
    with pytest.raises(TransactionFormatError, match="followed by more"):
        read_list(b"\xc1\x01\x01", 0, 3)
