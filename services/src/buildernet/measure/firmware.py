# SPDX-License-Identifier: MIT
"""Facts about known firmware builds, read from measurements/firmware/*.json.

PCR 0 and PCR 7 depend on the firmware build alone, but cannot be computed from its file by a
reader that does not run it (the PEI volume is measured after it was unpacked and one word in it
written). They are therefore facts found once by a boot; see measurements/README.md.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from buildernet.attestation.errors import DigestError
from buildernet.attestation.event_log import EVENT_TYPE_NAMES
from buildernet.attestation.registers import Digest32, Digest48
from buildernet.measure.digests import Digests
from buildernet.measure.errors import FirmwareError
from buildernet.measure.events import ExpectedEvent

FACTS_SCHEMA: Final = "buildernet-firmware/1"

MAX_FACTS_BYTES: Final = 1 << 20
"""A facts file has about 5 KiB."""

MAX_FACTS_FILES: Final = 1024
"""A folder of facts is scanned whole."""

_TYPE_OF_NAME: Final = {name: number for number, name in EVENT_TYPE_NAMES.items()}


@dataclass(frozen=True, slots=True)
class FirmwareFacts:
    """What is known about one build."""

    sha256: Digest32
    name: str
    events: tuple[ExpectedEvent, ...]
    """Events of PCR 0 and PCR 7 up to (PCR 7: with) their separator."""


def find_checkout_facts() -> Path | None:
    """Return measurements/firmware of the checkout this module runs from, None when installed."""
    folder = Path(__file__).resolve().parents[4] / "measurements" / "firmware"
    return folder if folder.is_dir() else None


def load_facts(firmware: memoryview, folder: Path | None) -> FirmwareFacts | None:
    """Find the facts of a firmware image by its SHA-256.

    Returns:
        None when no file of the folder is about this firmware, or there is no folder.

    Raises:
        FirmwareError: a facts file is damaged.
    """
    if folder is None:
        return None
    digest = hashlib.sha256(firmware).hexdigest().encode()
    for path in sorted(folder.glob("*.json"))[:MAX_FACTS_FILES]:
        if path.stat().st_size > MAX_FACTS_BYTES:
            raise FirmwareError(f"{path} is larger than {MAX_FACTS_BYTES} bytes")
        content = path.read_bytes()
        if digest in content:
            try:
                return parse_facts(content)
            except FirmwareError as exc:
                raise FirmwareError(f"{path}: {exc}") from exc
    return None


def parse_facts(text: str | bytes) -> FirmwareFacts:
    """Parse one facts file.

    Raises:
        FirmwareError: not JSON of schema `FACTS_SCHEMA`.
    """
    try:
        document = json.loads(text)
        if document["schema"] != FACTS_SCHEMA:
            raise FirmwareError(f"unknown schema {document['schema']!r}, want {FACTS_SCHEMA}")
        return FirmwareFacts(
            sha256=Digest32.parse(document["sha256"]),
            name=str(document["name"]),
            events=tuple(_parse_event(entry) for entry in document["events"]),
        )
    except DigestError as exc:
        raise FirmwareError(f"firmware facts: {exc}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise FirmwareError(f"firmware facts do not follow their schema: {exc!r}") from exc


def _parse_event(entry: dict[str, Any]) -> ExpectedEvent:  # Any: JSON before it is checked
    if entry["pcr"] not in (0, 7):
        raise FirmwareError("firmware facts are about PCR 0 and PCR 7 only")
    return ExpectedEvent(
        pcr=entry["pcr"],
        rtmr=None,
        type=_TYPE_OF_NAME[entry["type"]],
        label=entry["type"],
        digests=Digests(Digest32.parse(entry["sha256"]), Digest48.parse(entry["sha384"])),
        description=str(entry["description"]),
        reason=str(entry["reason"]),
    )
