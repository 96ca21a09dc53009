# SPDX-License-Identifier: MIT
"""Steps H to K: security versions become a status, the status a verdict."""

from typing import Any

import pytest

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.verify import (
    TCBPolicy,
    TCBStatus,
)
from tests.support.minted_chain import (
    Domain,
    Enclave,
    default_qe_identity,
    default_tcb_info,
    level,
    platform_level,
)
from tests.support.quote_verification import CHAIN, refused, verify


def with_levels(*levels: dict[str, Any], **changes: Any) -> Collateral:
    return CHAIN.collateral(tcb_info=default_tcb_info() | {"tcbLevels": list(levels)} | changes)


@pytest.mark.parametrize(
    ("domain", "what"),
    [
        (Domain(tee_tcb_svn=bytes([5, 2, *[2] * 14])), "TDX module"),
        (Domain(tee_tcb_svn=bytes([1, 1, *[2] * 14])), "SVN of TDX_01"),
        (Domain(mrsignerseam=b"\1" * 48), "MRSIGNERSEAM"),
        (Domain(seam_attributes=1), "SEAMATTRIBUTES"),
        (Domain(version=5, body_type=3, tee_tcb_svn2=bytes([5, 9, *[2] * 14])), "TDX module"),
    ],
)
def test_unknown_modules_are_refused(domain: Domain, what: str) -> None:
    refused("H", what, domain=domain)


@pytest.mark.parametrize("level_of", [{"sgx": 4}, {"pce": 14}, {"tdx": 3}])
def test_platforms_below_every_level_are_refused(level_of: dict[str, int]) -> None:
    refused("I", "versions", collateral=with_levels(platform_level("UpToDate", **level_of)))


def test_module_version_zero_compares_all_components() -> None:
    collateral = with_levels(platform_level("UpToDate", module=6))
    svn = bytes([5, 0, *[2] * 14])
    refused("I", "versions", domain=Domain(tee_tcb_svn=svn), collateral=collateral)
    assert verify(collateral=collateral)


ANY = TCBPolicy(allowed=frozenset(TCBStatus) - {TCBStatus.REVOKED})
OLD_MODULE = bytes([3, 1, *[2] * 14])
NEW_MODULE = bytes([5, 1, *[2] * 14])


@pytest.mark.parametrize(
    ("platform", "module", "enclave", "status"),
    [
        ("UpToDate", 5, 6, "UpToDate"),
        ("SWHardeningNeeded", 3, 6, "OutOfDate"),
        ("ConfigurationNeeded", 3, 6, "OutOfDateConfigurationNeeded"),
        ("UpToDate", 5, 3, "OutOfDate"),
        ("ConfigurationAndSWHardeningNeeded", 5, 3, "OutOfDateConfigurationNeeded"),
        ("OutOfDate", 5, 6, "OutOfDate"),
        ("ConfigurationNeeded", 5, 6, "ConfigurationNeeded"),
    ],
)
def test_statuses_converge(platform: str, module: int, enclave: int, status: str) -> None:
    svn = bytes([module, 1, *[2] * 14])
    verified = verify(
        Domain(tee_tcb_svn=svn),
        Enclave(isv_svn=enclave),
        collateral=with_levels(platform_level(platform)),
        policy=ANY,
    )
    assert verified.status == status
    assert verified.advisories == (set() if status == "UpToDate" else {"INTEL-SA-00000"})


@pytest.mark.parametrize(
    ("launch", "now", "platform", "status"),
    [
        (OLD_MODULE, NEW_MODULE, "UpToDate", "TDRelaunchAdvised"),
        (
            OLD_MODULE, NEW_MODULE, "ConfigurationNeeded",
            "TDRelaunchAdvisedConfigurationNeeded",
        ),
        (NEW_MODULE, OLD_MODULE, "UpToDate", "OutOfDate"),
        (OLD_MODULE, OLD_MODULE, "UpToDate", "OutOfDate"),
    ],
)  # fmt: skip
def test_module_updates_since_launch(launch: bytes, now: bytes, platform: str, status: str) -> None:
    domain = Domain(version=5, body_type=3, tee_tcb_svn=launch, tee_tcb_svn2=now)
    collateral = with_levels(platform_level(platform))
    assert verify(domain, collateral=collateral, policy=ANY).status == status
    refused("K", "TCB status", domain=domain, collateral=collateral)


@pytest.mark.parametrize("part", ["platform", "module", "enclave"])
def test_revoked_is_refused_by_every_policy(part: str) -> None:
    revoked, info, identity = level("Revoked", isvsvn=1), default_tcb_info(), default_qe_identity()
    if part == "platform":
        info["tcbLevels"] = [platform_level("Revoked")]
    elif part == "module":
        info["tdxModuleIdentities"][0]["tcbLevels"] = [revoked]
    else:
        identity["tcbLevels"] = [revoked]
    collateral = CHAIN.collateral(tcb_info=info, qe_identity=identity)
    refused("K", "TCB status", collateral=collateral, policy=ANY)


def test_levels_are_tried_from_the_highest() -> None:
    collateral = with_levels(platform_level("OutOfDate", sgx=2), platform_level("UpToDate"))
    assert verify(collateral=collateral).status is TCBStatus.UP_TO_DATE


def test_third_component_is_the_platforms() -> None:
    domain = Domain(tee_tcb_svn=bytes([5, 1, 1, *[2] * 13]))
    collateral = with_levels(platform_level("UpToDate"))
    refused("I", "versions", domain=domain, collateral=collateral)
