# SPDX-License-Identifier: MIT
"""Reads RLP in place: strictly canonical, in linear time, one level per call.

The specification's own decoder copies the rest of a list for every item of it and recurses as deep
as the input asks, which a stranger's 128 KiB can turn into seconds. This one hands out positions;
whoever knows the format decides how deep to go.

Reference: the Ethereum Yellow Paper, appendix B.
"""

from collections.abc import Iterator
from typing import Final

from buildernet.ethereum.errors import TransactionFormatError

_SHORT_STRING: Final = 0x80
_LONG_STRING: Final = 0xB7
_SHORT_LIST: Final = 0xC0
_LONG_LIST: Final = 0xF7
_SHORT_LENGTH: Final = 55
"""The longest payload whose length stands in the first byte."""


def read_item(data: bytes, at: int, stop: int) -> tuple[bool, int, int]:
    """Read the head of the item at a position.

    Returns:
        Whether it is a list, and where its payload starts and ends.

    Raises:
        TransactionFormatError: The item does not end before `stop`, or its head is not the
            shortest one for it.
    """
    if at >= stop:
        raise TransactionFormatError("RLP ends before its item")
    head = data[at]
    if head < _SHORT_STRING:
        return False, at, at + 1
    is_list = head >= _SHORT_LIST
    length = head - (_SHORT_LIST if is_list else _SHORT_STRING)
    start = at + 1
    if length > _SHORT_LENGTH:
        digits = length - _SHORT_LENGTH
        start += digits
        length = int.from_bytes(data[at + 1 : start])
        if start > stop or length <= _SHORT_LENGTH or data[at + 1] == 0:
            raise TransactionFormatError("RLP length is truncated or not the shortest")
    elif length == 1 and not is_list and start < stop and data[start] < _SHORT_STRING:
        raise TransactionFormatError("RLP of a small byte is not the shortest")
    end = start + length
    if end > stop:
        raise TransactionFormatError("RLP item is longer than what holds it")
    return is_list, start, end


def read_list(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Read the head of a list that fills the bytes up to `stop`; returns its payload's bounds.

    Raises:
        TransactionFormatError: The item is no list, or something follows it.
    """
    is_list, start, end = read_item(data, at, stop)
    if not is_list:
        raise TransactionFormatError("RLP holds a string where a list belongs")
    if end != stop:
        raise TransactionFormatError("RLP is followed by more bytes")
    return start, end


def iterate_items(data: bytes, start: int, stop: int) -> Iterator[tuple[int, bool, int, int]]:
    """Walk the items of a payload: position, whether a list, payload's start and end.

    Raises:
        TransactionFormatError: As `read_item`.
    """
    at = start
    while at < stop:
        is_list, first, end = read_item(data, at, stop)
        yield at, is_list, first, end
        at = end


def encode_list_head(length: int) -> bytes:
    """Return the head of a list whose payload has this many bytes."""
    return _encode_head(length, _SHORT_LIST, _LONG_LIST)


def encode_integer(value: int) -> bytes:
    """Return a non-negative integer of at most 55 bytes as RLP."""
    if 0 < value < _SHORT_STRING:
        return bytes((value,))
    digits = value.to_bytes((value.bit_length() + 7) // 8)
    return _encode_head(len(digits), _SHORT_STRING, _LONG_STRING) + digits


def _encode_head(length: int, short: int, long: int) -> bytes:
    if length <= _SHORT_LENGTH:
        return bytes((short + length,))
    digits = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((long + len(digits),)) + digits
