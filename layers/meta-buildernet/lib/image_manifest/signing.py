# SPDX-License-Identifier: MIT
"""What the build needs to know of a signing key: whose it is. The signing itself is minisign's.

Reference:
    https://jedisct1.github.io/minisign/ (secret key format)
"""

import base64
import binascii
from pathlib import Path

from image_manifest.errors import ManifestError

# algorithm 2, key derivation 2, checksum 2, salt 32, two limits of 8, then the encrypted part: key
# number 8, secret key 64, checksum 32.
_LENGTH = 158
_NUMBER = slice(54, 62)
_NOT_ENCRYPTED = b"\0\0"


def key_number(path: str) -> str:
    """The number that names a minisign key, as its signatures and its public key show it.

    It is public; it enters the signature of the signing task, so that another key signs anew.

    Args:
        path: The secret key file; empty for "nobody signs".

    Returns:
        Upper-case hex as minisign prints it, without leading zeros, or "" without a key.

    Raises:
        ManifestError: No minisign key, or one with a password, which a build cannot ask for.
    """
    if not path:
        return ""
    try:
        text = Path(path).read_text(encoding="ascii")
        key = base64.b64decode(text.splitlines()[1], validate=True)
    except (OSError, ValueError, IndexError, binascii.Error) as error:
        raise ManifestError(
            f"{path}: not a minisign key", hint="minisign -G -W makes one"
        ) from error
    if len(key) != _LENGTH or key[:2] != b"Ed":
        raise ManifestError(f"{path}: not a minisign secret key", hint="minisign -G -W makes one")
    if key[2:4] != _NOT_ENCRYPTED:
        hint = "minisign -C -W removes it from a copy"
        raise ManifestError(f"{path}: the key has a password, which a build cannot type", hint=hint)
    return f"{int.from_bytes(key[_NUMBER], 'little'):X}"
