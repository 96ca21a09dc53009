# SPDX-License-Identifier: MIT
"""TCB info and QE identity: Intel's statements about security versions, as values.

Reading proves nothing; `verify.signed_collateral` checks the signatures first.

Reference:
    Intel PCS API v4, "Get TDX TCB Info", "Get TD QE Identity"; specs/attestation.md section 2.3.
"""

from dataclasses import dataclass
from typing import Final

from buildernet.attestation.collateral.fields import Fields
from buildernet.attestation.collateral.status import ENCLAVE_STATUSES, INTEL_STATUSES, TCBStatus
from buildernet.attestation.errors import CollateralError

TCB_COMPONENTS: Final = 16


@dataclass(frozen=True, slots=True)
class LevelStatus:
    """What Intel says about one level."""

    status: TCBStatus
    date: int
    """Unix time."""
    advisories: frozenset[str]


@dataclass(frozen=True, slots=True)
class EnclaveLevel:
    """A level of the quoting enclave or of a TDX module."""

    isv_svn: int
    verdict: LevelStatus


@dataclass(frozen=True, slots=True)
class PlatformLevel:
    """A level of the platform."""

    sgx: tuple[int, ...]
    pce_svn: int
    tdx: tuple[int, ...]
    verdict: LevelStatus


@dataclass(frozen=True, slots=True)
class ModuleIdentity:
    """A TDX module (SEAM module) Intel signed."""

    name: str
    """`TDX_03` for major version 3; empty for version 0."""
    mrsigner: bytes
    attributes: int
    attributes_mask: int
    levels: tuple[EnclaveLevel, ...]
    """Highest first; none for version 0, whose SVN is part of the platform's levels."""


@dataclass(frozen=True, slots=True)
class TCBInfo:
    """Levels of one kind of platform."""

    issued: int
    next_update: int
    fmspc: bytes
    pce_id: bytes
    evaluation_number: int
    module: ModuleIdentity
    """For version 0 of the module."""
    modules: tuple[ModuleIdentity, ...]
    levels: tuple[PlatformLevel, ...]
    """Highest first."""


@dataclass(frozen=True, slots=True)
class QEIdentity:
    """The TD quoting enclave."""

    issued: int
    next_update: int
    evaluation_number: int
    misc_select: int
    misc_select_mask: int
    attributes: int
    attributes_mask: int
    """16 bytes each, flags and XFRM, as little-endian numbers."""
    mrsigner: bytes
    isv_prod_id: int
    levels: tuple[EnclaveLevel, ...]


def parse_tcb_info(data: bytes) -> TCBInfo:
    """Parse the `tcbInfo` value.

    Raises:
        CollateralError: not TDX TCB info of version 3.
    """
    fields = Fields.parse(data, "TCB info")
    _require(fields, "id", ("TDX",), "version", (3,))
    if fields.number("tcbType") != 0:
        raise CollateralError("TCB info: unknown tcbType")
    modules = fields.rows("tdxModuleIdentities") if fields.has("tdxModuleIdentities") else []
    levels = [_platform_level(row) for row in fields.rows("tcbLevels")]
    levels.sort(key=lambda level: (level.sgx, level.pce_svn, level.tdx), reverse=True)
    return TCBInfo(
        issued=fields.time("issueDate"),
        next_update=fields.time("nextUpdate"),
        fmspc=fields.octets("fmspc", 6),
        pce_id=fields.octets("pceId", 2),
        evaluation_number=fields.number("tcbEvaluationDataNumber"),
        module=_module("", fields.inner("tdxModule"), ()),
        modules=tuple(_module(row.text("id"), row, _enclave_levels(row)) for row in modules),
        levels=tuple(levels),
    )


def parse_qe_identity(data: bytes) -> QEIdentity:
    """Parse the `enclaveIdentity` value.

    Raises:
        CollateralError: not the identity of the TD quoting enclave, of version 2 or 3.
    """
    fields = Fields.parse(data, "QE identity")
    _require(fields, "id", ("TD_QE",), "version", (2, 3))
    return QEIdentity(
        issued=fields.time("issueDate"),
        next_update=fields.time("nextUpdate"),
        evaluation_number=fields.number("tcbEvaluationDataNumber"),
        misc_select=int.from_bytes(fields.octets("miscselect", 4), "little"),
        misc_select_mask=int.from_bytes(fields.octets("miscselectMask", 4), "little"),
        attributes=int.from_bytes(fields.octets("attributes", 16), "little"),
        attributes_mask=int.from_bytes(fields.octets("attributesMask", 16), "little"),
        mrsigner=fields.octets("mrsigner", 32),
        isv_prod_id=fields.number("isvprodid"),
        levels=_enclave_levels(fields),
    )


def _require(
    fields: Fields, id_name: str, ids: tuple[str, ...], version_name: str, versions: tuple[int, ...]
) -> None:
    found = (fields.text(id_name), fields.number(version_name))
    if found[0] not in ids or found[1] not in versions:
        raise CollateralError(
            f"collateral is about {found[0]} version {found[1]}, not {ids[0]} version {versions}"
        )


def _module(name: str, fields: Fields, levels: tuple[EnclaveLevel, ...]) -> ModuleIdentity:
    return ModuleIdentity(
        name=name,
        mrsigner=fields.octets("mrsigner", 48),
        attributes=int.from_bytes(fields.octets("attributes", 8), "little"),
        attributes_mask=int.from_bytes(fields.octets("attributesMask", 8), "little"),
        levels=levels,
    )


def _platform_level(row: Fields) -> PlatformLevel:
    tcb = row.inner("tcb")
    return PlatformLevel(
        sgx=_components(tcb, "sgxtcbcomponents"),
        pce_svn=tcb.number("pcesvn"),
        tdx=_components(tcb, "tdxtcbcomponents"),
        verdict=_verdict(row, INTEL_STATUSES),
    )


def _components(tcb: Fields, name: str) -> tuple[int, ...]:
    values = tuple(row.number("svn") for row in tcb.rows(name))
    if len(values) != TCB_COMPONENTS:
        raise CollateralError(f"TCB info: {name} has {len(values)} entries, not {TCB_COMPONENTS}")
    return values


def _enclave_levels(fields: Fields) -> tuple[EnclaveLevel, ...]:
    levels = [
        EnclaveLevel(row.inner("tcb").number("isvsvn"), _verdict(row, ENCLAVE_STATUSES))
        for row in fields.rows("tcbLevels")
    ]
    return tuple(sorted(levels, key=lambda level: level.isv_svn, reverse=True))


def _verdict(row: Fields, legal: frozenset[TCBStatus]) -> LevelStatus:
    text = row.text("tcbStatus")
    if text not in legal:
        raise CollateralError(f"unknown TCB status {text[:40]!r}")
    return LevelStatus(TCBStatus(text), row.time("tcbDate"), row.texts("advisoryIDs"))
