# SPDX-License-Identifier: MIT
"""Fold an event log into register values, as the TPM or the TDX module did."""

from buildernet.attestation.errors import EventLogError
from buildernet.attestation.event_log import EV_SEPARATOR, Event, EventLog, LogKind
from buildernet.attestation.registers import (
    PCRS,
    TDX_REGISTERS,
    Bank,
    Digest,
    Register,
    extend,
    initial_value,
    rtmr_of_pcr,
)


def register_of(log: EventLog, event: Event) -> Register:
    """Return the register an event of this log extends."""
    return TDX_REGISTERS[event.index] if log.kind is LogKind.CC else PCRS[event.index]


def replay(log: EventLog, bank: Bank) -> dict[Register, Digest]:
    """Fold every extended event.

    Returns:
        For a TPM log PCR 0 to 15 and any other that was extended; for a CC log RTMR0 to RTMR3.

    Raises:
        EventLogError: the log has no such bank, or an event lacks its digest.
    """
    if bank not in log.banks:
        raise EventLogError(
            f"the log has no {bank} bank, it has: {', '.join(log.banks)}",
            hint="swtpm_setup --pcr-banks sha256,sha384 makes firmware log both",
        )
    registers = PCRS[:16] if log.kind is LogKind.TPM else TDX_REGISTERS[1:]
    values = {
        register: initial_value(register, bank, startup_locality=log.startup_locality)
        for register in registers
    }
    for event in log.events:
        if event.is_extended:
            register = register_of(log, event)
            old = values.get(register) or initial_value(register, bank)
            values[register] = extend(bank, old, digest_in(event, bank))
    return values


def digest_in(event: Event, bank: Bank) -> Digest:
    """Return the digest of one bank.

    Raises:
        EventLogError: the event does not carry it.
    """
    digest = event.digests.get(bank)
    if digest is None:
        raise EventLogError(f"event {event.number} has no {bank} digest")
    return digest


def replay_rtmrs(log: EventLog) -> dict[Register, Digest]:
    """Return RTMR0 to RTMR3 of a CC log, or what a TPM log's events would give on TDX.

    From a TPM log the sha384 digests are sorted by `rtmr_of_pcr`. Two things differ on TDX and are
    modelled: PCR 0 has no counterpart that firmware extends, and the separators that stand in each
    of PCR 0 to 6 are one event in RTMR1. RTMR0 so derived lacks what only a TD measures (TD HOB,
    configuration volume); it identifies a simulated platform, never a real one.

    Raises:
        EventLogError: the log has no sha384 bank.
    """
    if log.kind is LogKind.CC:
        return replay(log, Bank.SHA384)
    if Bank.SHA384 not in log.banks:
        raise EventLogError("the log has no sha384 bank, RTMRs cannot be derived")
    values = {register: initial_value(register, Bank.SHA384) for register in TDX_REGISTERS[1:]}
    for event in log.events:
        if not event.is_extended or event.index in (0, *range(16, len(PCRS))):
            continue
        if event.type == EV_SEPARATOR and event.index in (1, 2, 3, 5, 6):
            continue
        register = rtmr_of_pcr(event.index)
        values[register] = extend(Bank.SHA384, values[register], digest_in(event, Bank.SHA384))
    return values
