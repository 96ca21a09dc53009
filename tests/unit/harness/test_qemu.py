# SPDX-License-Identifier: MIT
"""The argument list says what the machine has, and nothing by default."""

from pathlib import Path

import pytest

from tests.harness.qemu import Accelerator, MachineSockets, MachineSpec, build_arguments

FIRMWARE = Path("/deploy/firmware.fd")
SOCKETS = MachineSockets(console=7, qmp=8, tpm=9)


def value_after(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def test_the_pinned_firmware_is_the_only_firmware():
    arguments = build_arguments(MachineSpec(FIRMWARE), SOCKETS)
    assert value_after(arguments, "-bios") == str(FIRMWARE)
    assert "-nodefaults" in arguments
    assert not any("pflash" in argument for argument in arguments)


def test_the_disk_is_attached_read_only_and_its_path_escaped():
    spec = MachineSpec(FIRMWARE, disk=Path("/a,b/disk.raw"))
    blockdev = value_after(build_arguments(spec, SOCKETS), "-blockdev")
    assert "read-only=on" in blockdev
    assert "filename=/a,,b/disk.raw" in blockdev


def test_without_a_kernel_the_disk_boots():
    assert "-kernel" not in build_arguments(MachineSpec(FIRMWARE, disk=Path("/d")), SOCKETS)


def test_qemu_binds_the_forwarded_ports_itself():
    spec = MachineSpec(FIRMWARE, guest_ports=(3535, 22))
    netdev = value_after(build_arguments(spec, SOCKETS), "-netdev")
    assert netdev.split(",")[2:] == [
        "hostfwd=tcp:127.0.0.1:0-:3535",
        "hostfwd=tcp:127.0.0.1:0-:22",
    ]


@pytest.mark.parametrize("model", ["tpm-crb", "tpm-tis"])
def test_the_tpm_is_there_when_a_socket_is_given(model):
    spec = MachineSpec(FIRMWARE, tpm_model=model)
    assert f"{model},tpmdev=tpm0" in build_arguments(spec, SOCKETS)
    without = build_arguments(spec, MachineSockets(console=7, qmp=8))
    assert "-tpmdev" not in without


def test_tcg_guests_never_see_cmpxchg16b():
    """docs/decisions/0009: QEMU 7.2 corrupts the guest's flags with it."""
    arguments = build_arguments(MachineSpec(FIRMWARE, accelerator=Accelerator.TCG), SOCKETS)
    assert "-cx16" in value_after(arguments, "-cpu")
