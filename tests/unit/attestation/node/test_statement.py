# SPDX-License-Identifier: MIT
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import NodeStatementError
from buildernet.attestation.node import NodeStatement, key_digest
from tests.support.hub_nodes import SimulatedNode, make_certificate

STATEMENT = NodeStatement(b"\x01" * 32, b"\x02" * 32, b"\x03" * 20, "1.2.3.4", 1767225600)


def test_encoding_is_as_documented() -> None:
    assert STATEMENT.encode() == (
        b"buildernet-node-statement/1\0"
        + b"\x01" * 32
        + b"\x02" * 32
        + b"\x03" * 20
        + bytes.fromhex("000000006955b900")
        + b"\x071.2.3.4"
    )
    assert len(STATEMENT.report_data()) == 64


def test_missing_address_is_zeros() -> None:
    assert replace(STATEMENT, address=None).encode()[92:112] == bytes(20)


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": bytes(32)},
        {"node_id": b"\x01" * 31},
        {"tls_key": b""},
        {"address": b"\x01"},
        {"timestamp": 0},
        {"timestamp": 1 << 40},
        {"ip_address": ""},
        {"ip_address": "1" * 46},
        {"ip_address": "é"},
    ],
)
def test_field_out_of_range_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(NodeStatementError, match=next(iter(changes))):
        replace(STATEMENT, **changes)  # type: ignore[arg-type]


_STATEMENTS = st.builds(
    NodeStatement,
    st.binary(min_size=32, max_size=32).filter(any),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=20, max_size=20).filter(any),
    st.ip_addresses().map(str),
    st.integers(1, (1 << 40) - 1),
)


@given(_STATEMENTS, _STATEMENTS)
def test_different_statements_encode_differently(one: NodeStatement, two: NodeStatement) -> None:
    assert (one == two) == (one.encode() == two.encode())


def test_renewed_certificate_with_the_same_key_has_the_same_digest() -> None:
    node = SimulatedNode()
    renewed = make_certificate(node.key, days=9)
    assert renewed != node.certificate
    assert key_digest(renewed) == key_digest(node.certificate)
    assert key_digest(SimulatedNode().certificate) != key_digest(renewed)
