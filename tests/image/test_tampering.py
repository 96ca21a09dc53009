# SPDX-License-Identifier: MIT
"""Whatever of the image is changed: it does not boot, or the measurements name what changed."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import tamper
from tests.harness.artefacts import DeployedImage
from tests.harness.deadline import Deadline
from tests.harness.errors import BootFailedError, FailureKind
from tests.harness.gpt import SECTOR, Partition, find_partition, rename_partition
from tests.image.boots import BOOT_SECONDS, Reading
from tests.image.explaining import explain, measure

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

EROFS_SUPERBLOCK = 1024
"""Offset of the superblock in an erofs file system."""
MARGIN = 1024 * 1024
UKI_CHANGES = {
    "cmdline-changed": (tamper.change_command_line, ".cmdline"),
    "initrd-changed": (tamper.change_initrd, ".initrd"),
    "kernel-changed": (tamper.change_kernel, ".linux"),
    "stub-changed": (tamper.change_stub, "unified kernel image"),
}
"""Key of the cause that must be named, the change, and what the changed event is about."""


@pytest.fixture
def disk(image, tmp_path):
    """A copy of the disk to change."""
    copy = tmp_path / "disk.raw"
    command = ["cp", "--reflink=auto", "--sparse=always", image.disk, copy]
    subprocess.run(command, check=True, timeout=60)
    return copy


@pytest.mark.parametrize("where", ["superblock", "inside"])
def test_a_changed_byte_of_the_root_stops_the_boot_at_verity(boots, production, disk, where):
    root = find_partition(disk, "root")
    offset = EROFS_SUPERBLOCK
    if where != "superblock":
        offset = byte_read_at_boot(production.reads, root)
    tamper.flip_byte(disk, root.offset_bytes + offset)
    with pytest.raises(BootFailedError) as caught, boots.start(boots.spec(disk)) as machine:
        machine.wait_for(r"(?!)", Deadline.after(BOOT_SECONDS))
    assert caught.value.kind is FailureKind.VERITY, caught.value


def byte_read_at_boot(reads: str, root: Partition) -> int:
    """Offset into the root of a byte that the good boot read half-way, far from both ends.

    Near the ends udev looks at the partition itself, past verity.
    """
    traced = [
        int(match[1]) * SECTOR + int(match[2]) * SECTOR // 2 - root.offset_bytes
        for match in re.finditer(r" sector (\d+) nsectors (\d+)", reads)
    ]
    inside = [offset for offset in traced if MARGIN <= offset < root.size_bytes - MARGIN]
    assert len(inside) > 10, "the good boot's reads were not traced"
    return inside[len(inside) // 2]


@pytest.mark.parametrize("cause", UKI_CHANGES)
def test_a_changed_uki_is_named(boots, image, production, disk, tmp_path, cause):
    change, about = UKI_CHANGES[cause]
    uki = image.uki.read_bytes()
    position = tamper.find_uki(disk, uki)
    with disk.open("r+b") as file:
        file.seek(position)
        file.write(change(uki))
    with boots.read(boots.spec(disk)) as reading:
        pass
    explanation = explain(image.events, reading, tmp_path)
    assert explanation.status == 1, explanation.text
    assert cause in explanation.causes, explanation.text
    assert any(about in what for _, what, _ in explanation.mismatches), explanation.text
    assert_predictable(image, disk, reading, tmp_path)


def test_a_changed_partition_table_is_named(boots, image, production, disk, tmp_path):
    rename_partition(disk, "esp", "esq")
    with boots.read(boots.spec(disk)) as reading:
        pass
    explanation = explain(image.events, reading, tmp_path)
    assert explanation.status == 1, explanation.text
    assert {register for register, _, _ in explanation.mismatches} == {"pcr5"}, explanation.text
    assert all("GPT" in what for _, what, _ in explanation.mismatches), explanation.text
    assert_predictable(image, disk, reading, tmp_path)


def assert_predictable(image: DeployedImage, disk: Path, reading: Reading, tmp_path: Path) -> None:
    """The changed disk boots as predicted from itself: the change was measured, and no more."""
    events = tmp_path / "changed-events.json"
    arguments = ("--firmware", image.firmware, "--boot", "gpt", "--out-events", events)
    result = measure("image", disk, *arguments)
    assert result.returncode == 0, result.stderr
    assert explain(events, reading, tmp_path).status == 0
