# SPDX-License-Identifier: MIT
"""The deploy folder of one image: which files it holds and that they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.harness.errors import MissingImageError
from tests.harness.firmware import verify_firmware

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class DeployedImage:
    """Paths of what BitBake deployed for one image."""

    directory: Path

    @property
    def disk(self) -> Path:
        """GPT disk: ESP, erofs root, its verity tree."""
        return self.directory / "disk.raw"

    @property
    def uki(self) -> Path:
        """The unified kernel image, also the `BOOTX64.EFI` of the disk."""
        return self.directory / "uki.efi"

    @property
    def firmware(self) -> Path:
        """The pinned OVMF image."""
        return self.directory / "firmware.fd"

    @property
    def manifest(self) -> Path:
        """What went into the image."""
        return self.directory / "manifest.json"

    @property
    def events(self) -> Path:
        """The published prediction, event by event."""
        return self.directory / "events.json"

    @property
    def measurements(self) -> Path:
        """The published registers."""
        return self.directory / "measurements.json"


def load_image(directory: Path) -> DeployedImage:
    """The deploy folder at `directory`, complete enough to boot and with the pinned firmware.

    Raises:
        MissingImageError: A file needed to boot is missing.
        FirmwareError: `firmware.fd` is not an OVMF image or not the one of the manifest.
    """
    image = DeployedImage(directory)
    for path in (image.disk, image.uki, image.firmware):
        if not path.is_file():
            raise MissingImageError(f"image not built: {path} is missing", hint="run `make image`")
    verify_firmware(image.firmware, image.manifest)
    return image
