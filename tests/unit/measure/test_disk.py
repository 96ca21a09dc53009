# SPDX-License-Identifier: MIT
import pytest

from buildernet.measure.disk import BOOT_FILE, open_medium
from buildernet.measure.errors import DiskError
from buildernet.measure.gpt import build_gpt_event
from tests.support.disk_images import LINUX_TYPE, Partition, make_fat, make_gpt
from tests.support.pe_images import make_uki

UKI = make_uki()
FAT = make_fat({BOOT_FILE: UKI})


def test_uki_file_is_its_own_medium() -> None:
    medium = open_medium(memoryview(UKI))
    assert bytes(medium.uki) == UKI
    assert medium.gpt_event is None


def test_uki_is_found_in_the_esp_of_a_disk() -> None:
    disk = memoryview(make_gpt(Partition(b"x", type_guid=LINUX_TYPE), Partition(FAT)))
    medium = open_medium(disk)
    assert bytes(medium.uki) == UKI
    assert medium.gpt_event == build_gpt_event(disk)


def test_file_system_without_partitions_has_no_gpt_event() -> None:
    medium = open_medium(memoryview(FAT))
    assert bytes(medium.uki) == UKI
    assert medium.gpt_event is None


@pytest.mark.parametrize(
    "partitions", [(Partition(b"x", type_guid=LINUX_TYPE),), (Partition(FAT), Partition(FAT))]
)
def test_disk_needs_exactly_one_esp(partitions: tuple[Partition, ...]) -> None:
    with pytest.raises(DiskError, match="expected 1"):
        open_medium(memoryview(make_gpt(*partitions)))


def test_truncated_disk_is_refused() -> None:
    with pytest.raises(DiskError, match="beyond"):
        open_medium(memoryview(make_gpt(Partition(FAT))[: 3 << 20]))


def test_other_files_are_refused_with_a_hint() -> None:
    with pytest.raises(DiskError, match="neither") as caught:
        open_medium(memoryview(b"QFI\xfb" + bytes(2000)))
    assert caught.value.hint
