# SPDX-License-Identifier: MIT
"""The TD report inside a quote: what the TDX module says about one trust domain.

Reference:
    Intel TDX DCAP quoting library API, appendix A.3 (TD quote body descriptor, TD report 1.0, 1.5);
    specs/attestation.md section 2.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, Self

from buildernet.attestation.errors import QuoteFormatError
from buildernet.attestation.quote.reader import Reader
from buildernet.attestation.registers import TDX_REGISTERS, Digest48, Register

REPORT_DATA_BYTES: Final = 64


class BodyType(IntEnum):
    """Kind of body, as the descriptor of a version 5 quote numbers it."""

    TD_1_0 = 2
    TD_1_5 = 3
    TD_1_5_EX = 4


class TDAttributes(IntFlag):
    """TDATTRIBUTES of the TDX module ABI (348551-008)."""

    DEBUG = 1 << 0
    PROFILING_4 = 1 << 4
    PROFILING_5 = 1 << 5
    PROFILING_6 = 1 << 6
    ICSSD = 1 << 16
    SERVTD_EXT = 1 << 17
    LASS = 1 << 27
    SEPT_VE_DISABLE = 1 << 28
    MIGRATABLE = 1 << 29
    PKS = 1 << 30
    KL = 1 << 31
    TPA = 1 << 62
    PERFMON = 1 << 63


PROFILING: Final = TDAttributes.PROFILING_4 | TDAttributes.PROFILING_5 | TDAttributes.PROFILING_6


@dataclass(frozen=True, slots=True)
class TDReport:
    """TD report 1.0: 584 bytes, in every quote."""

    tee_tcb_svn: bytes
    """16 bytes: SVNs of the TDX module and the loader at launch; [1] is the module's version."""
    mrseam: Digest48
    """Measurement of the TDX module."""
    mrsignerseam: Digest48
    seam_attributes: int
    td_attributes: TDAttributes
    xfam: int
    """Extended features the domain may use, as in XCR0."""
    mrtd: Digest48
    mr_config_id: Digest48
    mr_owner: Digest48
    mr_owner_config: Digest48
    rtmr0: Digest48
    rtmr1: Digest48
    rtmr2: Digest48
    rtmr3: Digest48
    report_data: bytes
    """64 bytes chosen by the guest: what the quote is bound to."""

    @property
    def registers(self) -> Mapping[Register, Digest48]:
        """MRTD and RTMR0 to RTMR3."""
        values = (self.mrtd, self.rtmr0, self.rtmr1, self.rtmr2, self.rtmr3)
        return dict(zip(TDX_REGISTERS, values, strict=True))

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Take the fields off the reader.

        Raises:
            QuoteFormatError: the bytes end first.
        """
        return cls(*_read_1_0(reader))


@dataclass(frozen=True, slots=True)
class TDReport15(TDReport):
    """TD report 1.5: adds 64 bytes."""

    tee_tcb_svn2: bytes
    """16 bytes: SVNs of the TDX module that runs now, after an update without restart."""
    mr_service_td: Digest48
    """Measurement of bound service TDs (migration); zero when there is none."""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Take the fields off the reader."""
        return cls(*_read_1_0(reader), *_read_1_5(reader))


@dataclass(frozen=True, slots=True)
class TDReport15Ex(TDReport15):
    """TD report 1.5 extended: adds 237 bytes about identity and migration."""

    vm_id: int
    td_id: bytes
    device_info: bytes
    init_servtd_hash: Digest48
    init_servtd_attributes: int
    init_cpu_svn: bytes
    init_tee_tcb_svn: bytes
    init_tee_fmspc: bytes
    cur_servtd_hash: Digest48
    cur_servtd_attributes: int

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Take the fields off the reader."""
        return cls(
            *_read_1_0(reader),
            *_read_1_5(reader),
            reader.take(1, "VMID")[0],
            reader.take(32, "TD ID"),
            reader.take(48, "DEV_INFO"),
            _digest(reader, "INIT_SERVTD_HASH"),
            _u64(reader, "INIT_SERVTD_ATTR"),
            reader.take(16, "INIT_CPUSVN"),
            reader.take(16, "INIT_TEE_TCB_SVN"),
            reader.take(12, "INIT_TEE_FMSPC"),
            _digest(reader, "CUR_SERVTD_HASH"),
            _u64(reader, "CUR_SERVTD_ATTR"),
        )


BODY_BYTES: Final = {BodyType.TD_1_0: 584, BodyType.TD_1_5: 648, BodyType.TD_1_5_EX: 885}
_REPORT: Final[dict[BodyType, type[TDReport]]] = {
    BodyType.TD_1_0: TDReport,
    BodyType.TD_1_5: TDReport15,
    BodyType.TD_1_5_EX: TDReport15Ex,
}


def parse_body(data: bytes, kind: BodyType) -> TDReport:
    """Parse a TD report.

    Raises:
        QuoteFormatError: `data` has not the length of this kind.
    """
    if len(data) != BODY_BYTES[kind]:
        raise QuoteFormatError(f"{kind.name} body has {len(data)} bytes, not {BODY_BYTES[kind]}")
    return _REPORT[kind].read(Reader(data, f"{kind.name} body"))


# A row of fields in the order of the dataclass; the layout is checked by its length and by tests.
def _read_1_0(
    reader: Reader,
) -> tuple[
    bytes, Digest48, Digest48, int, TDAttributes, int,
    Digest48, Digest48, Digest48, Digest48, Digest48, Digest48, Digest48, Digest48, bytes,
]:  # fmt: skip
    return (
        reader.take(16, "TEE_TCB_SVN"),
        _digest(reader, "MRSEAM"),
        _digest(reader, "MRSIGNERSEAM"),
        _u64(reader, "SEAMATTRIBUTES"),
        TDAttributes(_u64(reader, "TDATTRIBUTES")),
        _u64(reader, "XFAM"),
        _digest(reader, "MRTD"),
        _digest(reader, "MRCONFIGID"),
        _digest(reader, "MROWNER"),
        _digest(reader, "MROWNERCONFIG"),
        _digest(reader, "RTMR0"),
        _digest(reader, "RTMR1"),
        _digest(reader, "RTMR2"),
        _digest(reader, "RTMR3"),
        reader.take(REPORT_DATA_BYTES, "REPORTDATA"),
    )


def _read_1_5(reader: Reader) -> tuple[bytes, Digest48]:
    return reader.take(16, "TEE_TCB_SVN_2"), _digest(reader, "MRSERVICETD")


def _digest(reader: Reader, field: str) -> Digest48:
    return Digest48(reader.take(Digest48.size, field))


def _u64(reader: Reader, field: str) -> int:
    return int.from_bytes(reader.take(8, field), "little")
