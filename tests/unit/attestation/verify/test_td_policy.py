# SPDX-License-Identifier: MIT
"""Demands on the trust domain; one that its host can look into is refused by every policy."""

from dataclasses import replace
from typing import Any

import pytest

from buildernet.attestation.errors import PolicyError, VerificationError
from buildernet.attestation.quote import TDAttributes, parse_quote
from buildernet.attestation.registers import Digest48
from buildernet.attestation.verify import TDPolicy
from tests.support.minted_chain import Domain, shared_chain

BODY = parse_quote(shared_chain().quote(Domain())).body
REQUIRED = TDAttributes.SEPT_VE_DISABLE
ONES = Digest48(b"\1" * 48)


@pytest.mark.parametrize("bit", [bit for bit in range(64) if bit != 28])
def test_every_other_attribute_is_refused(bit: int) -> None:
    body = replace(BODY, td_attributes=TDAttributes(REQUIRED | 1 << bit))
    with pytest.raises(VerificationError, match="step L: TD attributes"):
        TDPolicy().check(body)


def test_sept_ve_disable_is_required() -> None:
    TDPolicy().check(BODY)
    with pytest.raises(VerificationError, match="step L: TD attributes"):
        TDPolicy().check(replace(BODY, td_attributes=TDAttributes(0)))


def test_named_attributes_are_allowed() -> None:
    body = replace(BODY, td_attributes=REQUIRED | TDAttributes.PERFMON)
    TDPolicy(allowed_attributes=TDAttributes.PERFMON).check(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed_attributes": TDAttributes.DEBUG},
        {"required_attributes": TDAttributes.PROFILING_5},
        {"allowed_attributes": TDAttributes(1 << 40)},
        {"service_tds": ()},
        {"mrseam": ()},
    ],
)
def test_senseless_policies_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        TDPolicy(**fields)


@pytest.mark.parametrize("xfam", [0, 0x602E6, 0x602E7 | 1 << 3, 0x602E7 | 1 << 63])
def test_impossible_xfam_is_refused(xfam: int) -> None:
    with pytest.raises(VerificationError, match="step L: XFAM"):
        TDPolicy().check(replace(BODY, xfam=xfam))


@pytest.mark.parametrize("xfam", [0x602E7, 0x600E7, 0x618E7, 0x61AE7, 0x642E7])
def test_xfam_of_real_machines_passes(xfam: int) -> None:
    TDPolicy().check(replace(BODY, xfam=xfam))


@pytest.mark.parametrize("name", ["mr_config_id", "mr_owner", "mr_owner_config"])
def test_configuration_must_be_as_named(name: str) -> None:
    changed: dict[str, Any] = {name: ONES}
    TDPolicy(**changed).check(replace(BODY, **changed))
    with pytest.raises(VerificationError, match=f"step L: {name.upper().replace('_', '')}:"):
        TDPolicy().check(replace(BODY, **changed))


def test_module_list_is_optional() -> None:
    TDPolicy(mrseam=(BODY.mrseam,)).check(BODY)
    with pytest.raises(VerificationError, match="step L: MRSEAM"):
        TDPolicy(mrseam=(ONES,)).check(BODY)


@pytest.mark.parametrize("bit", [0, 4, 5, 6])
def test_debugging_and_profiling_are_named(bit: int) -> None:
    body = replace(BODY, td_attributes=TDAttributes(REQUIRED | 1 << bit))
    with pytest.raises(VerificationError, match="expected no debugging, no profiling"):
        TDPolicy().check(body)
