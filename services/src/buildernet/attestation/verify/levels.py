# SPDX-License-Identifier: MIT
"""Steps H, I and J: from security versions to one status.

Reference:
    Intel SGX and TDX DCAP quote verification library, "TCB level matching"; specs/attestation.md
    section 2.4, H to J.
"""

from collections.abc import Iterable
from typing import Final

from buildernet.attestation.collateral.status import TCBStatus
from buildernet.attestation.collateral.tcb_info import (
    EnclaveLevel,
    LevelStatus,
    ModuleIdentity,
    TCBInfo,
)
from buildernet.attestation.quote import TDReport, TDReport15
from buildernet.attestation.verify.pck_extension import PCKExtension
from buildernet.attestation.verify.status import OUT_OF_DATE_STATUSES, TCBEvaluation
from buildernet.attestation.verify.steps import Step, Trail, refusal

_FIRST_OWN_COMPONENT: Final = 2
"""From version 1 of the TDX module on, components 0 and 1 of TEE_TCB_SVN are the module's own
versions and judged by its identity, not by the platform's levels."""

_CONFIGURATION: Final = frozenset(
    {TCBStatus.CONFIGURATION_NEEDED, TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED}
)


def evaluate(
    body: TDReport,
    *,
    extension: PCKExtension,
    tcb_info: TCBInfo,
    enclave: LevelStatus,
    enclave_number: int,
    trail: Trail,
) -> TCBEvaluation:
    """Take steps H, I and J.

    A 1.5 body states two versions of the TDX module: at the domain's launch, and now. If only the
    first is out of date, launching the domain again would cure it.

    Args:
        body: of a quote that passed steps A to G.
        extension: of the platform's PCK certificate.
        tcb_info: authentic.
        enclave: what step F found about the quoting enclave.
        enclave_number: tcbEvaluationDataNumber of the QE identity.
        trail: notes each step as it is passed.

    Raises:
        VerificationError: an unknown TDX module, or versions below every level.
    """
    svns = [body.tee_tcb_svn]
    if isinstance(body, TDReport15):
        svns.append(body.tee_tcb_svn2)
    modules = [_check_module(body, svn, tcb_info) for svn in svns]
    trail.passed(Step.TDX_MODULE, *(f"version {svn[1]}, SVN {svn[0]}" for svn in svns))
    platforms = [_platform_level(svn, extension, tcb_info) for svn in svns]
    trail.passed(Step.PLATFORM_TCB, *(f"TEE TCB SVN {svn.hex()}" for svn in svns))
    statuses = [_converge(enclave, *pair) for pair in zip(platforms, modules, strict=True)]
    verdicts = [enclave, *platforms, *(module for module in modules if module)]
    evaluation = TCBEvaluation(
        status=statuses[0] if len(statuses) == 1 else _relaunch(*statuses),
        tcb_date=min(verdict.date for verdict in verdicts),
        advisories=frozenset[str]().union(*(verdict.advisories for verdict in verdicts)),
        evaluation_number=min(tcb_info.evaluation_number, enclave_number),
    )
    advisories = ", ".join(sorted(evaluation.advisories)) or "none"
    trail.passed(Step.CONVERGE, f"status {evaluation.status}", f"advisories: {advisories}")
    return evaluation


def _check_module(body: TDReport, svn: bytes, tcb_info: TCBInfo) -> LevelStatus | None:
    """Step H for one version; the module of version 0 has no levels of its own."""
    module = _module(svn[1], tcb_info)
    if body.mrsignerseam != module.mrsigner:
        wanted = module.mrsigner.hex()
        raise refusal(Step.TDX_MODULE, "MRSIGNERSEAM", wanted, body.mrsignerseam.hex())
    attributes = body.seam_attributes
    if attributes & module.attributes_mask != module.attributes:
        wanted = f"0x{module.attributes:016x} under mask 0x{module.attributes_mask:016x}"
        raise refusal(Step.TDX_MODULE, "SEAMATTRIBUTES", wanted, f"0x{attributes:016x}")
    if not module.name:
        return None
    return find_level(module.levels, svn[0], Step.TDX_MODULE, f"SVN of {module.name}")


def _module(version: int, tcb_info: TCBInfo) -> ModuleIdentity:
    if version == 0:
        return tcb_info.module
    name = f"TDX_{version:02X}"
    for module in tcb_info.modules:
        if module.name.upper() == name:
            return module
    known = ", ".join(module.name for module in tcb_info.modules) or "none"
    raise refusal(Step.TDX_MODULE, "TDX module", f"one of the TCB info ({known})", name)


def find_level(levels: tuple[EnclaveLevel, ...], svn: int, step: Step, what: str) -> LevelStatus:
    """Return the verdict of the highest level that an SVN reaches.

    Raises:
        VerificationError: it reaches none.
    """
    for level in levels:
        if level.isv_svn <= svn:
            return level.verdict
    lowest = f"at least {levels[-1].isv_svn}" if levels else "a level"
    raise refusal(step, what, lowest, svn)


def _platform_level(svn: bytes, extension: PCKExtension, tcb_info: TCBInfo) -> LevelStatus:
    first = _FIRST_OWN_COMPONENT if svn[1] > 0 else 0
    for level in tcb_info.levels:
        if (
            _reaches(extension.components, level.sgx)
            and extension.pce_svn >= level.pce_svn
            and _reaches(svn[first:], level.tdx[first:])
        ):
            return level.verdict
    actual = f"SGX {_dotted(extension.components)}, PCE {extension.pce_svn}, TDX {svn.hex()}"
    raise refusal(
        Step.PLATFORM_TCB,
        "platform's security versions",
        f"at least one of {len(tcb_info.levels)} levels",
        actual,
        hint="the host runs firmware older than any that Intel still lists",
    )


def _dotted(components: Iterable[int]) -> str:
    """Show SVNs, as a list of numbers."""
    return ".".join(str(component) for component in components)


def _reaches(actual: Iterable[int], needed: Iterable[int]) -> bool:
    return all(have >= want for have, want in zip(actual, needed, strict=True))


def _converge(enclave: LevelStatus, platform: LevelStatus, module: LevelStatus | None) -> TCBStatus:
    """Step J: fold the verdicts on enclave and module into the platform's."""
    parts = {enclave.status} if module is None else {enclave.status, module.status}
    if TCBStatus.REVOKED in {platform.status, *parts}:
        return TCBStatus.REVOKED
    if TCBStatus.OUT_OF_DATE not in parts or platform.status in OUT_OF_DATE_STATUSES:
        return platform.status
    if platform.status in _CONFIGURATION:
        return TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED
    return TCBStatus.OUT_OF_DATE


def _relaunch(launch: TCBStatus, now: TCBStatus) -> TCBStatus:
    if TCBStatus.REVOKED in (launch, now):
        return TCBStatus.REVOKED
    if now in OUT_OF_DATE_STATUSES or launch not in OUT_OF_DATE_STATUSES:
        return now if now in OUT_OF_DATE_STATUSES else launch
    if launch is TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED or now in _CONFIGURATION:
        return TCBStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
    return TCBStatus.TD_RELAUNCH_ADVISED
