# SPDX-License-Identifier: MIT
"""The JSON document around a TDX quote in a certificate of protocol A. No I/O.

`{"RawQuote": base64, "UserData": base64}`, user data being the hash of the certificate's key.
"""

import base64
import binascii
import hmac
import json
from typing import Any, Final

from buildernet.attested_proxy.errors import DocumentError
from buildernet.attested_proxy.evidence import REPORT_DATA_BYTES
from buildernet.base.strict_json import parse_json

_QUOTE: Final = "RawQuote"
_USER_DATA: Final = "UserData"


def report_data(extra_data: bytes) -> bytes:
    """Return what the quote in a document is bound to: the extra data and zeros, 64 bytes."""
    return extra_data.ljust(REPORT_DATA_BYTES, b"\0")


def encode_quote(quote: bytes, *, user_data: bytes) -> bytes:
    """Return the document for a quote, in the reference's order and spacing."""
    fields = {
        _QUOTE: base64.b64encode(quote).decode(),
        _USER_DATA: base64.b64encode(user_data).decode(),
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def parse_quote(document: bytes, *, user_data: bytes) -> bytes:
    """Return the quote of a document that names the key of the certificate it came in.

    Raises:
        DocumentError: It is malformed, has a part twice, or names another key.
    """
    try:
        fields = parse_json(document)
    except (ValueError, RecursionError) as exc:
        raise DocumentError("evidence document is not JSON") from exc
    if not isinstance(fields, dict):
        raise DocumentError("evidence document is not a JSON object")
    if not hmac.compare_digest(_bytes(fields, _USER_DATA), user_data):
        raise DocumentError("evidence document names another key than its certificate has")
    return _bytes(fields, _QUOTE)


def _bytes(fields: dict[str, Any], name: str) -> bytes:
    text = fields.get(name)
    if not isinstance(text, str):
        raise DocumentError(f"evidence document has no {name}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise DocumentError(f"{name} of the evidence document is not base64") from exc
