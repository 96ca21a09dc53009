# SPDX-License-Identifier: MIT
"""Signatures over request bodies, and the secp256k1 keys that make them.

A signature covers the body alone: not the method, path or time. Whoever captures a request can
replay it; what forwards it must forget no order before its block.

Reference: docs/protocols/orderflow-signature.md; EIP-191 version 0x45; EIP-2 (low s).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NoReturn, Self

from coincurve import PrivateKey, PublicKey

from buildernet.base.bounded_file import read_private_file
from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import (
    AddressFormatError,
    MissingSignatureError,
    SignatureError,
    SigningKeyError,
)
from buildernet.ethereum.keccak import compute_keccak256

BUILDERNET_SIGNATURE: Final = "X-BuilderNet-Signature"
FLASHBOTS_SIGNATURE: Final = "X-Flashbots-Signature"
SIGNATURE_HEADERS: Final = (BUILDERNET_SIGNATURE, FLASHBOTS_SIGNATURE)
"""The headers that carry a signature; the first one present counts."""

HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1. A higher s is the twin of a lower one, and is refused."""

MAX_KEY_FILE_BYTES: Final = 256
"""A key is 66 characters and a line end."""

REMEMBERED_SIGNERS: Final = 4096
"""Public keys whose address is remembered: the signers of a few minutes, about 1 MiB."""

_HEADER_CHARACTERS: Final = 42 + 1 + 132
_RECOVERY_IDS: Final = {0: b"\0", 1: b"\1", 27: b"\0", 28: b"\1"}
_FIRST_RECOVERY_ID: Final = 27
_HEX_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)
_HEX_SECRET: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_PREFIX: Final = b"\x19Ethereum Signed Message:\n66"
_HINT: Final = (
    "sign the text 0x…keccak256(body) as personal_sign does; docs/protocols/orderflow-signature.md"
)


class SigningKey:
    """A secp256k1 secret key. Its text is its address, and it refuses to be pickled."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        """Take 32 bytes.

        Raises:
            SigningKeyError: They are no secret key: zero, or not below the order of the curve.
        """
        try:
            self._key = PrivateKey(secret)
        except ValueError:
            raise SigningKeyError("these bytes are no secp256k1 secret key") from None
        self.address = _address_of(self._key.public_key)

    @classmethod
    def generate(cls) -> Self:
        """Make a new key from the system's randomness."""
        return cls(PrivateKey().secret)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 64 hexadecimal digits, with or without `0x`.

        Raises:
            SigningKeyError: The text is anything else. The message does not repeat it.
        """
        match = _HEX_SECRET.fullmatch(text.strip())
        if match is None:
            raise SigningKeyError("a signing key is 64 hexadecimal digits, optionally after 0x")
        return cls(bytes.fromhex(match[1]))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key from a file that nobody but its owner may read.

        Raises:
            SigningKeyError: The file is missing, open to others, or holds no key.
        """
        data = read_private_file(path, limit=MAX_KEY_FILE_BYTES, error=SigningKeyError)
        return cls.parse(data.decode("ascii", errors="replace"))

    def sign_digest(self, digest: bytes) -> bytes:
        """Return r (32 bytes), s (32 bytes, low) and v (27 or 28) over a digest of 32 bytes."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + _FIRST_RECOVERY_ID,))

    def __repr__(self) -> str:
        return f"SigningKey({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key does not leave its process")


def compute_body_digest(body: bytes) -> bytes:
    """Return the 32 bytes that a request's signature signs: EIP-191 over the hash's hex text."""
    return compute_keccak256(_PREFIX + b"0x" + compute_keccak256(body).hex().encode())


def sign_body(key: SigningKey, body: bytes) -> str:
    """Return the text of the signature header for a body: `<checksummed address>:0x<r s v>`."""
    return f"{key.address}:0x{key.sign_digest(compute_body_digest(body)).hex()}"


def find_signature(headers: Mapping[str, str]) -> str | None:
    """Return the first of `SIGNATURE_HEADERS` that a request carries, even if it is empty."""
    return next((headers[name] for name in SIGNATURE_HEADERS if name in headers), None)


def verify_body(header: str | None, body: bytes) -> Address:
    """Verify a signature header over a body and return who signed.

    Args:
        header: The value of the first of `SIGNATURE_HEADERS` that the request carries, or None.
        body: The body exactly as received, before any decompression or parsing.

    Raises:
        MissingSignatureError: There is no header, or it is empty.
        SignatureError: The header is malformed, the body is empty, s is high, v is none of 0, 1, 27
            and 28, or the signature is not of the named address over this body.
    """
    if not header:
        raise MissingSignatureError("no signature provided", hint=_HINT)
    if len(header) != _HEADER_CHARACTERS or header[42] != ":":
        raise _invalid("the header is not 0x<40 digits>:0x<130 digits>")
    if not body:
        raise _invalid("the body is empty")
    if _HEX_SIGNATURE.fullmatch(header[43:]) is None:
        raise _invalid("the signature is not 0x and 130 hexadecimal digits")
    try:
        named = Address.parse(header[:42])
    except AddressFormatError as exc:
        raise _invalid("what stands before the colon is no address") from exc
    signer = recover_signer(compute_body_digest(body), bytes.fromhex(header[45:]))
    if signer != named:
        raise _invalid(f"it is not of {named} over this body")
    return signer


def recover_signer(digest: bytes, signature: bytes) -> Address:
    """Return the address whose key signed a digest.

    Args:
        digest: 32 bytes.
        signature: 65 bytes: r, s and v, the latter 0, 1, 27 or 28.

    Raises:
        SignatureError: r or s is out of range, s is high, v is another number, or no key fits.
    """
    recovery_id = _RECOVERY_IDS.get(signature[64])
    if recovery_id is None:
        raise _invalid(f"v is {signature[64]}, not 0, 1, 27 or 28")
    if int.from_bytes(signature[32:64]) > HALF_ORDER:
        raise _invalid("s is in the upper half of the curve's order (EIP-2)")
    try:
        public = PublicKey.from_signature_and_message(
            signature[:64] + recovery_id, digest, hasher=None
        )
    except ValueError as exc:
        raise _invalid("no key fits it") from exc
    return _address_of(public)


def _address_of(public: PublicKey) -> Address:
    return _address_of_point(public.format(compressed=False))


@lru_cache(maxsize=REMEMBERED_SIGNERS)
def _address_of_point(point: bytes) -> Address:
    return Address(compute_keccak256(point[1:])[12:])


def _invalid(detail: str) -> SignatureError:
    return SignatureError(f"invalid signature provided: {detail}", hint=_HINT)
