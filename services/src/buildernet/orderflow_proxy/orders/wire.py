# SPDX-License-Identifier: MIT
"""The values that orders carry in JSON: hexadecimal texts and numbers, checked to the letter."""

import re
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.orderflow_proxy.orders.errors import OrderParamsError

MAX_U64: Final = 2**64 - 1

_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{0,16}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)

_Value = TypeVar("_Value")


def decode_param(decoder: msgspec.json.Decoder[_Value], param: bytes) -> _Value:
    """Read the JSON text of one parameter.

    Raises:
        OrderParamsError: It is no JSON, or a member has another type than the method's.
    """
    try:
        return decoder.decode(param)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise OrderParamsError(str(exc)[:200]) from exc
    except RecursionError as exc:
        raise OrderParamsError("JSON is nested too deep") from exc


def read_bytes(text: str, *, name: str) -> bytes:
    """Return the bytes of `0x` and an even number of hexadecimal digits.

    Raises:
        OrderParamsError: The text is anything else.
    """
    try:
        data = bytes.fromhex(text[2:])
    except ValueError:
        data = b""
    if not text.startswith("0x") or len(text) != 2 + 2 * len(data):  # fromhex takes spaces
        raise OrderParamsError(f"{name} is not 0x and hexadecimal digits in pairs")
    return data


def read_hash(text: str, *, name: str) -> bytes:
    """Return the 32 bytes of a hash.

    Raises:
        OrderParamsError: The text is not `0x` and 64 hexadecimal digits.
    """
    if _HASH.fullmatch(text) is None:
        raise OrderParamsError(f"{name} is not 0x and 64 hexadecimal digits")
    return bytes.fromhex(text[2:])


def read_hashes(texts: tuple[str, ...] | None, *, name: str, limit: int) -> tuple[bytes, ...]:
    """Return the hashes of a list that may be absent.

    Raises:
        OrderParamsError: There are more than `limit`, or one is no hash.
    """
    if not texts:
        return ()
    if len(texts) > limit:
        raise OrderParamsError(f"{name} has {len(texts)} entries, more than {limit}")
    return tuple(read_hash(text, name=f"{name}[{at}]") for at, text in enumerate(texts))


def read_quantity(text: str, *, name: str) -> int:
    """Return the number of `0x` and at most 16 hexadecimal digits; `0x` alone is zero.

    Raises:
        OrderParamsError: The text is anything else.
    """
    if _QUANTITY.fullmatch(text) is None:
        raise OrderParamsError(f"{name} is not 0x and at most 16 hexadecimal digits")
    return int(text[2:] or "0", 16)


def read_u64(value: int | None, *, name: str) -> int | None:
    """Return a JSON number that fits 64 bits, or None.

    Raises:
        OrderParamsError: It is negative or larger.
    """
    if value is not None and not 0 <= value <= MAX_U64:
        raise OrderParamsError(f"{name} is not between 0 and 2^64-1")
    return value


def read_address(text: str | None, *, name: str) -> Address | None:
    """Return an address, or None.

    Raises:
        OrderParamsError: The text is no address.
    """
    if text is None:
        return None
    try:
        return Address.parse(text)
    except AddressFormatError as exc:
        raise OrderParamsError(f"{name} is not 0x and 40 hexadecimal digits") from exc


def read_uuid(text: str | None, *, name: str) -> UUID | None:
    """Return a UUID in its form with four hyphens, or None.

    Raises:
        OrderParamsError: The text is no such UUID.
    """
    if text is None:
        return None
    if _UUID.fullmatch(text) is None:
        raise OrderParamsError(f"{name} is no UUID")
    return UUID(text)


def encode_hex(data: bytes) -> str:
    """Return `0x` and lower-case digits."""
    return "0x" + data.hex()
