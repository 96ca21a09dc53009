# SPDX-License-Identifier: MIT
"""Typed reading of Intel's signed JSON: each value checked once, at the edge."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from buildernet.attestation.errors import CollateralError
from buildernet.base.strict_json import parse_json

MAX_SIGNED_JSON_BYTES: Final = 1 << 20
"""TCB info of a server platform has about 8 KiB."""

MAX_LEVELS: Final = 256
"""Intel lists about ten levels."""

MAX_NUMBER: Final = (1 << 31) - 1

_TIME_LENGTH: Final = len("2025-06-19T10:16:03Z")

Json = Mapping[str, Any]  # Any: JSON before it is checked


class Fields:
    """A JSON object whose fields are asked for by name and type."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise CollateralError(f"{what} is not a JSON object")
        self._value: Json = value
        self._what = what

    @classmethod
    def parse(cls, data: bytes, what: str) -> "Fields":
        """Parse a document.

        Raises:
            CollateralError: not a JSON object, too large, or with a key given twice.
        """
        if len(data) > MAX_SIGNED_JSON_BYTES:
            raise CollateralError(f"{what} has {len(data)} bytes, limit {MAX_SIGNED_JSON_BYTES}")
        try:
            return cls(parse_json(data), what)
        except (ValueError, RecursionError) as exc:
            raise CollateralError(f"{what} is not JSON: {str(exc)[:200]}") from exc

    def has(self, name: str) -> bool:
        """True if the field is there."""
        return name in self._value

    def text(self, name: str) -> str:
        """Return text."""
        value = self._get(name)
        if not isinstance(value, str):
            raise CollateralError(f"{self._what}: {name} is not text")
        return value

    def number(self, name: str) -> int:
        """Return a number from 0 to 2**31 - 1."""
        value = self._get(name)
        if type(value) is not int or not 0 <= value <= MAX_NUMBER:
            raise CollateralError(f"{self._what}: {name} is no number from 0 to {MAX_NUMBER}")
        return value

    def octets(self, name: str, size: int) -> bytes:
        """Return `size` bytes given in hexadecimal."""
        text = self.text(name)
        try:
            value = bytes.fromhex(text)
        except ValueError as exc:
            raise CollateralError(f"{self._what}: {name} is not hexadecimal") from exc
        if len(value) != size or len(text) != 2 * size:
            raise CollateralError(f"{self._what}: {name} has not {size} bytes")
        return value

    def time(self, name: str) -> int:
        """Return a UTC time as Unix time."""
        text = self.text(name)
        try:
            if len(text) != _TIME_LENGTH or not text.endswith("Z"):
                raise ValueError(text)
            return int(datetime.fromisoformat(text).timestamp())
        except (ValueError, OverflowError) as exc:
            raise CollateralError(f"{self._what}: {name} is no UTC time") from exc

    def inner(self, name: str) -> "Fields":
        """Return an object."""
        return Fields(self._get(name), f"{self._what}: {name}")

    def rows(self, name: str) -> list["Fields"]:
        """Return a list of objects, at most `MAX_LEVELS`."""
        return [Fields(row, f"{self._what}: {name}") for row in self._list(name)]

    def texts(self, name: str) -> frozenset[str]:
        """Return a list of texts; a missing list is empty."""
        values = self._list(name) if self.has(name) else []
        if not all(isinstance(value, str) for value in values):
            raise CollateralError(f"{self._what}: {name} is not a list of texts")
        return frozenset(values)

    def _list(self, name: str) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, list) or len(value) > MAX_LEVELS:
            raise CollateralError(f"{self._what}: {name} is no list of at most {MAX_LEVELS}")
        return value

    def _get(self, name: str) -> object:
        if name not in self._value:
            raise CollateralError(f"{self._what} lacks {name}")
        return self._value[name]
