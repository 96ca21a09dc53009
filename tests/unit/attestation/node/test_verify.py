# SPDX-License-Identifier: MIT
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attestation.errors import (
    NodeStatementError,
    StaleEvidenceError,
    VerificationError,
)
from buildernet.attestation.node import (
    NodeClaims,
    NodeStatement,
    encode_measurement,
    quote_of,
    require_fresh,
    verify_node_evidence,
)
from buildernet.attestation.registers import Register
from buildernet.attestation.verify import TrustAnchors
from buildernet.base.errors import BuildernetError
from tests.support.hub_nodes import SimulatedNode
from tests.support.minted_chain import shared_chain
from tests.support.minted_pki import MINTED_AT

NODE = SimulatedNode()
QUOTE = NODE.quote()
CHAIN = shared_chain()
COLLATERAL = CHAIN.collateral()


def verify(
    evidence: bytes = QUOTE, *, kind: str = "dcap-tdx", statement: NodeStatement | None = None
) -> NodeClaims:
    return verify_node_evidence(
        kind,
        evidence,
        statement=statement or NODE.statement(),
        collateral=COLLATERAL,
        at=MINTED_AT,
        measurements=None,
        roots=TrustAnchors((CHAIN.root.der,)),
    )


@pytest.mark.parametrize("kind", ["dcap-tdx", "qemu-tdx", "gcp-tdx"])
def test_evidence_of_the_statement_passes(kind: str) -> None:
    claims = verify(kind=kind)
    assert claims.registers[Register.MRTD] == b"\x11" * 48
    assert claims.match is None
    assert len(encode_measurement(claims.registers)) == 240
    assert encode_measurement(claims.registers)[48:96] == claims.registers[Register.RTMR0]


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": b"\x09" * 32},
        {"tls_key": b"\x09" * 32},
        {"address": b"\x09" * 20},
        {"address": None},
        {"ip_address": "1.2.3.5"},
        {"timestamp": MINTED_AT - 1},
    ],
)
def test_evidence_of_another_statement_is_refused(changes: dict[str, object]) -> None:
    statement = replace(NODE.statement(), **changes)  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match="report data"):
        verify(statement=statement)


@pytest.mark.parametrize("kind", ["", "none", "test", "DCAP-TDX"])
def test_unknown_type_is_refused(kind: str) -> None:
    with pytest.raises(NodeStatementError, match="unknown attestation type"):
        verify(kind=kind)
    with pytest.raises(NodeStatementError):
        quote_of(kind, QUOTE)


@settings(max_examples=40)
@given(st.integers(0, 8 * 1200 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(QUOTE)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BuildernetError):
        verify(bytes(damaged))


@settings(max_examples=40)
@given(st.sampled_from(["dcap-tdx", "azure-tdx"]), st.binary(max_size=200))
def test_any_other_bytes_are_refused_with_our_error(kind: str, evidence: bytes) -> None:
    with pytest.raises(BuildernetError):
        verify(evidence, kind=kind)


@pytest.mark.parametrize(
    ("age", "passes"), [(-6, False), (-5, True), (0, True), (60, True), (61, False)]
)
def test_age_has_limits_on_both_sides(age: int, passes: bool) -> None:
    def check() -> None:
        require_fresh(1000 - age, now=1000.9, max_age_s=60, what="it")

    if passes:
        check()
    else:
        with pytest.raises(StaleEvidenceError, match="it is"):
            check()
