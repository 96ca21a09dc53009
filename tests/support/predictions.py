# SPDX-License-Identifier: MIT
"""Predictions of small images, for tests of what is done with them."""

import functools
import uuid

from buildernet.measure.disk import BOOT_FILE, open_medium
from buildernet.measure.events import BootPath
from buildernet.measure.mrtd import compute_mrtd
from buildernet.measure.prediction import Prediction, predict
from tests.support.disk_images import DISK_GUID, Partition, make_fat, make_gpt
from tests.support.firmware_images import make_firmware
from tests.support.pe_images import make_uki

FIRMWARE = make_firmware()


@functools.lru_cache(8)
def make_disk(uki: bytes, *, disk_guid: uuid.UUID = DISK_GUID) -> bytes:
    return make_gpt(Partition(make_fat({BOOT_FILE: uki})), disk_guid=disk_guid)


@functools.lru_cache(8)
def make_prediction(
    uki: bytes | None = None,
    *,
    boot: BootPath = BootPath.DIRECT,
    disk_guid: uuid.UUID = DISK_GUID,
) -> Prediction:
    """Predict with a firmware that has TDX metadata and no facts."""
    image = make_uki() if uki is None else uki
    if boot is BootPath.GPT:
        image = make_disk(image, disk_guid=disk_guid)
    firmware = memoryview(FIRMWARE)
    return predict(
        open_medium(memoryview(image)),
        boot=boot,
        firmware=firmware,
        facts=None,
        mrtd=compute_mrtd(firmware),
    )
