# SPDX-License-Identifier: MIT
"""Turns a `MachineSpec` into QEMU's argument list. Pure: starts nothing, opens nothing.

Works with QEMU 7.2 (Debian 12) and 10.0 (Debian 13). No default devices: what the guest sees stands
here and nowhere else.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

QEMU: Final = "qemu-system-x86_64"


USER_NETWORK_PORT: Final = "hub-user"
"""Where QEMU's user network is plugged in when a test has a place beside it."""


class Accelerator(StrEnum):
    """How QEMU runs guest code."""

    TCG = "tcg"
    KVM = "kvm"


CPU_MODELS: Final = {
    # TCG of QEMU before 8.0 computes the flags of CMPXCHG16B from stale state. An interrupt right
    # behind it saves the garbage and IRET loads it: interrupts off for ever, a stray debug trap, a
    # double fault. Linux allocates every object with that instruction if the CPU has it, hence the
    # boots that hung "after clocksource tsc". docs/decisions/0009; drop `-cx16` with Debian 12.
    Accelerator.TCG: "qemu64,-cx16",
    Accelerator.KVM: "host",
}


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What the virtual machine consists of."""

    firmware: Path
    """The pinned OVMF image."""
    disk: Path | None = None
    """Raw disk, attached read-only; the guest keeps no state on it."""
    kernel: Path | None = None
    """A UKI to boot by `-kernel`; None boots from the disk."""
    guest_ports: tuple[int, ...] = ()
    """TCP ports of the guest that are reachable on 127.0.0.1, each on a port QEMU chooses."""
    same_host_ports: bool = False
    """Forward from the same numbers on the host instead, which may be taken; for people."""
    accelerator: Accelerator = Accelerator.TCG
    memory_mib: int = 1024
    cx16: bool = False
    """CMPXCHG16B under TCG too: for the development image, whose kernel does not use it."""
    vcpus: int = 1
    """One: with more, TCG runs stale instructions now and then while Linux patches its own code
    (docs/decisions/0009), which costs more than the seconds that a second one saves."""
    tpm_model: str = "tpm-crb"
    """`tpm-crb` or `tpm-tis`; the measurements are the same."""
    credentials: tuple[tuple[str, str], ...] = ()
    """systemd credentials (name, text) handed over as SMBIOS strings, which PCR 1 tells of."""
    neighbour: bool = False
    """Whether the test gets a place of its own on the guest's network."""
    read_trace: Path | None = None
    """File to which QEMU writes one line for every block read of the guest, or None."""


@dataclass(frozen=True, slots=True)
class MachineSockets:
    """Descriptors of connected sockets that QEMU inherits; the harness holds the other ends."""

    console: int | None = None
    """None puts the console on standard input and output, for people."""
    qmp: int | None = None
    tpm: int | None = None
    network: int | None = None
    """A test's own place on the guest's network; see `scanner`."""


def build_arguments(spec: MachineSpec, sockets: MachineSockets) -> list[str]:
    """QEMU's command line, program name included.

    The monitor and the console are sockets that are connected before QEMU starts, and the forwarded
    ports are bound by QEMU itself (host port 0), so no name or port number can be taken by another.
    """
    arguments = [
        QEMU,
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none"),
        *("-machine", "q35,hpet=on"),
        *("-accel", spec.accelerator.value),
        *("-cpu", CPU_MODELS[spec.accelerator].replace("-cx16", "+cx16" if spec.cx16 else "-cx16")),
        *("-smp", str(spec.vcpus)),
        *("-m", str(spec.memory_mib)),
        *("-bios", str(spec.firmware)),
        *("-serial", "chardev:console"),
        *("-device", "virtio-rng-pci"),
    ]
    if sockets.console is None:
        arguments += ["-chardev", "stdio,id=console,mux=on,signal=off"]
    else:
        arguments += ["-chardev", f"socket,id=console,fd={sockets.console}"]
    if sockets.qmp is not None:
        arguments += [
            *("-chardev", f"socket,id=monitor,fd={sockets.qmp}"),
            *("-mon", "chardev=monitor,mode=control"),
        ]
    arguments += _network_arguments(spec, sockets.network)
    if spec.disk is not None:
        arguments += _disk_arguments(spec.disk)
    if spec.kernel is not None:
        arguments += ["-kernel", str(spec.kernel)]
    if sockets.tpm is not None:
        arguments += [
            *("-chardev", f"socket,id=tpm,fd={sockets.tpm}"),
            *("-tpmdev", "emulator,id=tpm0,chardev=tpm"),
            *("-device", f"{spec.tpm_model},tpmdev=tpm0"),
        ]
    for name, text in spec.credentials:
        encoded = base64.b64encode(text.encode()).decode()
        arguments += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={encoded}"]
    if spec.read_trace is not None:
        arguments += ["-trace", f"enable=virtio_blk_handle_read,file={spec.read_trace}"]
    return arguments


def _network_arguments(spec: MachineSpec, neighbour: int | None) -> list[str]:
    forwards = "".join(
        f",hostfwd=tcp:127.0.0.1:{port if spec.same_host_ports else 0}-:{port}"
        for port in spec.guest_ports
    )
    arguments = ["-netdev", f"user,id=network{forwards}"]
    card = "network"
    if neighbour is not None:
        card = "hub"
        arguments += [
            *("-netdev", f"socket,id=neighbour,fd={neighbour}"),
            *("-netdev", f"hubport,id={USER_NETWORK_PORT},hubid=0,netdev=network"),
            *("-netdev", "hubport,id=hub-neighbour,hubid=0,netdev=neighbour"),
            *("-netdev", "hubport,id=hub,hubid=0"),
        ]
    # No option ROM: the firmware has no network boot entry to try before or after the disk.
    return [*arguments, "-device", f"virtio-net-pci,netdev={card},romfile="]


def _disk_arguments(disk: Path) -> list[str]:
    escaped = str(disk).replace(",", ",,")
    return [
        *(
            "-blockdev",
            f"driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename={escaped}",
        ),
        # 0 belongs to -kernel; a fixed index keeps the firmware's boot order predictable.
        *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
    ]
