# SPDX-License-Identifier: MIT
"""The JSON document of protocol A."""

import base64
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attested_proxy.documents import encode_quote, parse_quote
from buildernet.attested_proxy.errors import DocumentError

USER_DATA = bytes(range(32))
DOCUMENT = encode_quote(b"quote", user_data=USER_DATA)


def test_document_is_as_the_reference_writes_it() -> None:
    encoded = base64.b64encode(USER_DATA)
    expected = b'{"RawQuote":"cXVvdGU=","UserData":"' + encoded + b'"}'
    assert expected == DOCUMENT


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_quotes_survive(quote: bytes, user_data: bytes) -> None:
    assert parse_quote(encode_quote(quote, user_data=user_data), user_data=user_data) == quote


def test_document_for_another_key_is_refused() -> None:
    with pytest.raises(DocumentError, match="another key"):
        parse_quote(DOCUMENT, user_data=bytes(32))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"[" * 5000,
        json.dumps({"RawQuote": 1, "UserData": base64.b64encode(USER_DATA).decode()}).encode(),
        json.dumps({"RawQuote": "*", "UserData": base64.b64encode(USER_DATA).decode()}).encode(),
        json.dumps({"UserData": base64.b64encode(USER_DATA).decode()}).encode(),
        DOCUMENT[:-1] + b',"rawquote":""}',
        b"\xff\xfe",
    ],
)
def test_malformed_documents_are_refused(document: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_quote(document, user_data=USER_DATA)


@given(st.integers(0, len(DOCUMENT) * 8 - 1), st.integers(0, len(DOCUMENT)))
@settings(max_examples=200)
def test_damage_raises_our_error_only(bit: int, size: int) -> None:
    damaged = bytearray(DOCUMENT)
    damaged[bit // 8] ^= 1 << bit % 8
    for document in (bytes(damaged), DOCUMENT[:size]):
        with contextlib.suppress(DocumentError):
            parse_quote(document, user_data=USER_DATA)
