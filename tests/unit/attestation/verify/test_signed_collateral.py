# SPDX-License-Identifier: MIT
"""Steps D to G: signed collateral, platform identity, quoting enclave, signatures."""

from dataclasses import replace
from typing import Any

import pytest

from buildernet.attestation.errors import (
    CollateralError,
)
from tests.support.minted_chain import (
    MINTED_AT,
    Enclave,
    default_qe_identity,
    default_tcb_info,
    mint_chain,
)
from tests.support.minted_pki import DAY, NOW, issue, make_crl
from tests.support.quote_verification import CHAIN, COLLATERAL, refused, verify

SECONDS_A_DAY = 86_400


@pytest.mark.parametrize("name", ["tcb_info", "qe_identity"])
def test_changed_collateral_is_refused(name: str) -> None:
    changed = getattr(COLLATERAL, name).replace(b"UpToDate", b"Up2oDate", 1)
    refused("D", "signature of", collateral=replace(COLLATERAL, **{name: changed}))


def test_collateral_signed_by_a_pck_leaf_is_refused() -> None:
    signer = replace(CHAIN, pck=CHAIN.pck).pck
    refused("D", "role", collateral=CHAIN.collateral(signer=signer))


def test_collateral_under_another_root_is_refused() -> None:
    other = mint_chain().collateral()
    mixed = replace(
        COLLATERAL,
        tcb_info=other.tcb_info,
        tcb_info_signature=other.tcb_info_signature,
        tcb_info_issuer_chain=other.tcb_info_issuer_chain,
    )
    refused("D", "root of TCB info", collateral=mixed)


def test_revoked_tcb_signer_is_refused() -> None:
    crl = make_crl(CHAIN.root, CHAIN.tcb_signer)
    refused("D", "TCB Signing", collateral=replace(COLLATERAL, root_ca_crl=crl))


@pytest.mark.parametrize("days", [-3, 29.5])
def test_collateral_of_other_times_is_refused(days: float) -> None:
    collateral = replace(
        COLLATERAL,
        root_ca_crl=make_crl(CHAIN.root, this_update=NOW - 9 * DAY, next_update=NOW + 90 * DAY),
        pck_crl=make_crl(CHAIN.authority, this_update=NOW - 9 * DAY, next_update=NOW + 90 * DAY),
    )
    refused(
        "D", "time of TCB info", collateral=collateral, at=MINTED_AT + int(days * SECONDS_A_DAY)
    )


@pytest.mark.parametrize(
    "change",
    [{"id": "SGX"}, {"version": 2}, {"fmspc": "00"}, {"tcbType": 1}, {"tcbLevels": {}}],
)
def test_signed_collateral_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CollateralError):
        verify(collateral=CHAIN.collateral(tcb_info=default_tcb_info() | change))


@pytest.mark.parametrize(
    ("field", "value", "what"), [("fmspc", "00806f050000", "FMSPC"), ("pceId", "0100", "PCEID")]
)
def test_collateral_of_another_platform_is_refused(field: str, value: str, what: str) -> None:
    collateral = CHAIN.collateral(tcb_info=default_tcb_info() | {field: value})
    error = refused("E", what, collateral=collateral)
    assert error.actual == value


@pytest.mark.parametrize(
    ("enclave", "what"),
    [
        (Enclave(misc_select=1), "MISCSELECT"),
        (Enclave(attributes=bytes([0x13]) + bytes(15)), "attributes"),
        (Enclave(attributes=bytes([0x01]) + bytes(15)), "attributes"),
        (Enclave(mrsigner=bytes(32)), "MRSIGNER"),
        (Enclave(isv_prod_id=1), "ISVPRODID"),
        (Enclave(isv_svn=1), "ISVSVN"),
        (Enclave(report_data=bytes(64)), "report data"),
    ],
)
def test_other_quoting_enclaves_are_refused(enclave: Enclave, what: str) -> None:
    refused("F", what, enclave=enclave)


def test_hidden_bytes_in_the_qe_report_data_are_refused() -> None:
    good = verify().quote.signature.qe_report.report_data
    refused("F", "report data", enclave=Enclave(report_data=good[:63] + b"\1"))


def flipped(offset: int) -> bytes:
    quote = bytearray(CHAIN.quote())
    quote[offset] ^= 1
    return bytes(quote)


@pytest.mark.parametrize(
    ("step", "offset"),
    [("G", 48 + 136), ("G", 47), ("G", 636), ("F", 636 + 64), ("F", 636 + 134), ("F", 636 + 520)],
)
def test_flipped_bits_break_signatures(step: str, offset: int) -> None:
    refused(step, "", quote=flipped(offset))


SIGNER = "SIMULATED SGX TCB Signing"


def test_signer_of_another_root_of_the_same_name_is_refused() -> None:
    signer = issue(SIGNER, mint_chain().root)
    refused("D", "signature of certificate", collateral=CHAIN.collateral(signer=signer))


def test_expired_signer_is_refused() -> None:
    signer = issue(SIGNER, CHAIN.root, not_after=NOW - DAY)
    refused("D", f"time of certificate {SIGNER}", collateral=CHAIN.collateral(signer=signer))


def test_stale_qe_identity_is_refused() -> None:
    identity = default_qe_identity() | {"nextUpdate": "2026-05-28T20:26:39Z"}
    error = refused("D", "time of QE identity", collateral=CHAIN.collateral(qe_identity=identity))
    assert error.hint == "collateral is stale, fetch it again"


def test_debug_enclave_is_refused_whatever_the_identity_masks() -> None:
    identity = default_qe_identity() | {
        "attributes": "00" * 16, "attributesMask": "00" * 16
    }  # fmt: skip
    collateral = CHAIN.collateral(qe_identity=identity)
    assert verify(collateral=collateral)
    error = refused(
        "F", "attributes", enclave=Enclave(attributes=b"\2" + bytes(15)), collateral=collateral
    )
    assert error.expected == "no debugging"
