# SPDX-License-Identifier: MIT
"""Encryption of secrets at rest: AES-256-GCM, keys from a file, bound to the builder's name.

The key file has one key a line, `<name> <64 hexadecimal digits>`. The first key encrypts, all of
them decrypt, so a key is replaced by putting a new one in front and running
`builder-hub rotate-secrets`. A sealed value is 12 bytes of nonce and the ciphertext with its tag.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IRWXG, S_IRWXO
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from buildernet.base.bounded_file import read_file
from buildernet.builder_hub.errors import SealError

MAX_KEY_FILE_BYTES: Final = 16 * 1024
"""A key takes 80 bytes; nobody keeps two hundred."""

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

_DOMAIN: Final = b"builder-hub secrets/1\0"
_LINE: Final = re.compile(r"([A-Za-z0-9_-]{1,16})[ \t]+([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value."""

    key_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sealer:
    """Encrypts and decrypts. Its repr holds no key."""

    newest: str
    _keys: Mapping[str, AESGCM] = field(repr=False)
    _challenge_key: bytes = field(repr=False)

    def seal(self, document: bytes, *, builder: str) -> Sealed:
        """Encrypt a document; only this builder's name opens it again."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = _DOMAIN + builder.encode()
        return Sealed(self.newest, nonce + self._keys[self.newest].encrypt(nonce, document, bound))

    def open(self, sealed: Sealed, *, builder: str) -> bytes:
        """Decrypt a document.

        Raises:
            SealError: Its key is not at hand, it was changed, or it belongs to another builder.
        """
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise SealError(
                f"secrets of {builder} are encrypted with the unknown key {sealed.key_id}",
                hint="put that key back into secrets_key_file, behind the newest",
            )
        nonce, ciphertext = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        try:
            return key.decrypt(nonce, ciphertext, _DOMAIN + builder.encode())
        except (InvalidTag, ValueError) as exc:
            raise SealError(f"secrets of {builder} were changed, or belong to another") from exc

    def challenge_key(self) -> bytes:
        """Return the key that challenges are made with: every process of a network has the same."""
        return self._challenge_key


def parse_keys(text: str) -> Sealer:
    """Read the lines of a key file; empty lines and those that begin with `#` are skipped.

    Raises:
        SealError: A line is no key, a name is given twice, or there is no key. The message never
            repeats a line.
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or match[1] in keys:
            raise SealError(f"line {number} of the key file is no key, or names one a second time")
        keys[match[1]] = bytes.fromhex(match[2])
    if not keys:
        raise SealError("the key file has no key", hint="make one: builder-hub new-key")
    newest = next(iter(keys))
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"builder-hub challenges/1")
    return Sealer(
        newest, {name: AESGCM(key) for name, key in keys.items()}, derived.derive(keys[newest])
    )


def load_keys(path: Path) -> Sealer:
    """Read a key file that nobody but its owner may read.

    Raises:
        SealError: It is missing, open to others, or not of this form.
    """
    data = read_file(path, limit=MAX_KEY_FILE_BYTES, error=SealError)
    if path.stat().st_mode & (S_IRWXG | S_IRWXO):
        raise SealError(f"the key file {path} is open to others", hint=f"chmod 0600 {path}")
    return parse_keys(data.decode("ascii", errors="replace"))


def new_key(name: str) -> str:
    """Return a line with a new key."""
    return f"{name} {secrets.token_hex(KEY_BYTES)}\n"


def create_key_file(path: Path) -> Sealer:
    """Make a key file with one new key; never replaces one.

    Raises:
        SealError: It exists, or cannot be written.
    """
    try:
        # Mode 0600. Whole or not there, even after a loss of power: what it seals comes next.
        with NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(new_key("first"))
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise SealError(f"cannot make the key file {path}: {exc.strerror}") from exc
    return load_keys(path)
