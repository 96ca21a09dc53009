# SPDX-License-Identifier: MIT
"""sbom.cdx.json: the materials of an image as a CycloneDX 1.6 bill.

Time stamp and serial number are not drawn: the one is SOURCE_DATE_EPOCH, the other follows from the
content, so the same image has the same bill (docs/decisions/0011-cyclonedx-sbom.md).

Reference:
    https://cyclonedx.org/docs/1.6/json/
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from image_manifest.materials import Material

# Serial numbers are UUIDs in this name space, which was drawn once.
SERIAL_NAMESPACE = uuid.UUID("6a1d9f0e-3c55-4c7e-9b1a-2f4b8d0c7e61")


def encode_sbom(
    image: str, version: str, disk_sha256: str, materials: Iterable[Material], epoch: int
) -> str:
    """The bill of one image.

    Args:
        image: Name of the image.
        version: Its version.
        disk_sha256: Lower-case hex digest of its disk.
        materials: What it is made of, in any order.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970.
    """
    whole = Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=image,
        version=version,
        bom_ref=f"{image}@{version}",
        hashes=[_sha256(disk_sha256)],
    )
    bom = Bom(
        serial_number=uuid.UUID(int=0),
        metadata=BomMetaData(component=whole, timestamp=datetime.fromtimestamp(epoch, UTC)),
        components=[_component(material) for material in sorted(materials)],
    )
    bom.register_dependency(whole, bom.components)
    bom.serial_number = uuid.uuid5(SERIAL_NAMESPACE, _write(bom))
    return _write(bom)


def _component(material: Material) -> Component:
    return Component(
        type=ComponentType.FIRMWARE if material.firmware else ComponentType.LIBRARY,
        name=material.name,
        version=material.version,
        bom_ref=material.purl,
        purl=PackageURL.from_string(material.purl),
        hashes=[_sha256(material.sha256)] if material.sha256 else [],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _write(bom: Bom) -> str:
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return f"{outputter.output_as_string(indent=1)}\n"
