# SPDX-License-Identifier: MIT
"""The SBOM: valid by CycloneDX's own schema, and the same for the same materials."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from image_manifest.materials import Material, own_material
from image_manifest.sbom import encode_sbom

EPOCH: Final = 1735689600
DISK: Final = "12" * 32
MATERIALS: Final = [
    Material(f"pkg:deb/debian/package-{number}@1", f"package-{number}", "1", f"{number:064x}")
    for number in range(20)
] + [
    Material("pkg:deb/debian/ovmf@2", "ovmf", "2", "cd" * 32, firmware=True),
    own_material("buildernet", "0.1.0"),
]


def encode(materials: list[Material] = MATERIALS, disk: str = DISK) -> str:
    return encode_sbom("image", "0.1.0", disk, materials, EPOCH)


def parse() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode())
    return document


def test_the_document_follows_the_schema() -> None:
    from cyclonedx.validation.json import JsonStrictValidator  # a second, for this test alone

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(encode()) is None
    # A validator that accepts anything would prove nothing.
    assert validator.validate_str(encode().replace('"components"', '"parts"')) is not None


def test_the_order_of_the_materials_does_not_matter() -> None:
    shuffled = random.Random(7).sample(MATERIALS, len(MATERIALS))
    assert shuffled != MATERIALS
    assert encode(shuffled) == encode()


def test_the_time_stamp_is_the_epoch() -> None:
    assert parse()["metadata"]["timestamp"] == "2025-01-01T00:00:00+00:00"


def test_the_serial_number_follows_from_the_content() -> None:
    other = json.loads(encode(disk="34" * 32))
    assert parse()["serialNumber"].startswith("urn:uuid:")
    assert parse()["serialNumber"] != other["serialNumber"]


def test_every_material_is_listed_with_its_digest() -> None:
    components = {component["purl"]: component for component in parse()["components"]}
    assert set(components) == {material.purl for material in MATERIALS}
    assert components["pkg:deb/debian/ovmf@2"]["type"] == "firmware"
    assert components["pkg:deb/debian/package-3@1"]["hashes"] == [
        {"alg": "SHA-256", "content": f"{3:064x}"}
    ]
    assert "hashes" not in components["pkg:generic/buildernet@0.1.0"]


def test_the_image_depends_on_every_material() -> None:
    (whole,) = [entry for entry in parse()["dependencies"] if entry["ref"] == "image@0.1.0"]
    assert whole["dependsOn"] == sorted(material.purl for material in MATERIALS)
