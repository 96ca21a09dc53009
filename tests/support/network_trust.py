# SPDX-License-Identifier: MIT
"""What a network of simulated machines believes: whose quotes, and of which images."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from buildernet.attestation.collateral.documents import encode_bundle
from buildernet.attestation.policy import Platform
from buildernet.attestation.policy.measurements_file import encode_own_measurements
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Digest48
from tests.support.event_logs import encode_log
from tests.support.simulated_mount import EVENTS, MRTD
from tests.support.simulated_tee.chain import PUBLIC_CHAIN, ROOT_FILE, collateral_at, load_chain
from tests.support.simulated_tee.platform import SimulatedPlatform, domain_of_boot

ROOT_OF_TRUST: Final = PUBLIC_CHAIN / ROOT_FILE

# Any: JSON, as in a file of measurements.
Image = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trust:
    """The files that hub and nodes are given."""

    images: tuple[Image, ...]
    measurements: Path
    collateral: Path


def native_image() -> Image:
    """Return what a node measures that runs as processes of this machine."""
    domain = domain_of_boot(encode_log(EVENTS), Digest48.parse(MRTD))
    quote = SimulatedPlatform(chain=load_chain(), domain=domain).quote(bytes(64))
    own = encode_own_measurements(Platform.DCAP_TDX, parse_quote(quote).body.registers)
    return {**json.loads(own)[0], "measurement_id": "native-node"}


def make_trust(folder: Path, images: Sequence[Image]) -> Trust:
    """Write the files into a folder."""
    measurements, collateral = folder / "measurements.json", folder / "collateral.json"
    measurements.write_text(json.dumps(images))
    collateral.write_text(encode_bundle([collateral_at(load_chain(), int(time.time()))]))
    return Trust(tuple(images), measurements, collateral)
