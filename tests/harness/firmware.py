# SPDX-License-Identifier: MIT
"""The firmware that boots are measured with: the deploy folder's pinned one, never the host's."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from tests.harness.errors import FirmwareError

if TYPE_CHECKING:
    from pathlib import Path

COMBINED_SIZE_BYTES: Final = 4 * 1024 * 1024
"""Variables and code in one file, as `-bios` takes it and MRTD covers it (edk2's 4M layout)."""
VOLUME_SIGNATURE: Final = b"_FVH"
"""At offset 40 of every firmware volume header (PI specification, EFI_FIRMWARE_VOLUME_HEADER)."""
VOLUME_SIGNATURE_OFFSET: Final = 40


def verify_firmware(firmware: Path, manifest: Path) -> None:
    """Check that `firmware` is a combined OVMF image and, with a manifest, the one it names.

    Raises:
        FirmwareError: Another size, no firmware volume, or another digest than the manifest's.
    """
    data = firmware.read_bytes()
    signature = data[VOLUME_SIGNATURE_OFFSET : VOLUME_SIGNATURE_OFFSET + len(VOLUME_SIGNATURE)]
    if len(data) != COMBINED_SIZE_BYTES or signature != VOLUME_SIGNATURE:
        raise FirmwareError(
            f"{firmware} is not a combined {COMBINED_SIZE_BYTES}-byte OVMF image",
            hint="run `make image`: it deploys the pinned firmware next to the image",
        )
    if not manifest.is_file():
        return
    recorded = _recorded_digest_hex(json.loads(manifest.read_text()), firmware.name)
    actual = hashlib.sha256(data).hexdigest()
    if recorded is not None and recorded != actual:
        raise FirmwareError(f"{firmware} is {actual}, the manifest says {recorded}")


def _recorded_digest_hex(manifest: object, name: str) -> str | None:
    """The sha256 that the manifest's `files` gives for `name`, or None when it lists none."""
    files = manifest.get("files") if isinstance(manifest, dict) else None
    entry = files.get(name) if isinstance(files, dict) else None
    digest = entry.get("sha256") if isinstance(entry, dict) else entry
    return digest if isinstance(digest, str) else None
