# SPDX-License-Identifier: MIT
"""One document, one meaning."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.strict_json import parse_json


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"a": 1, "A": 2}', '[{"b": {"cD": 1, "Cd": 2}}]']
)
def test_a_member_is_given_once_whatever_its_case(text: str) -> None:
    with pytest.raises(ValueError, match="given twice"):
        parse_json(text)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_everything_else_is_json(value: object) -> None:
    document = json.dumps({"a": value, "b": [{"a": value}]})
    assert parse_json(document.encode()) == json.loads(document)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", "nul"])
def test_what_is_no_json_is_a_value_error(data: bytes | str) -> None:
    with pytest.raises(ValueError):
        parse_json(data)
