# SPDX-License-Identifier: MIT
"""measurements.json: the registers in the form that verifiers of BuilderNet nodes read.

Readers: cvm-reverse-proxy (register numbers, one `expected` each), builder-hub (numbers,
`expected_any` too), attested-tls and attested-get (names, `expected_any`).
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from buildernet.attestation.registers import PCRS, Bank, Digest, Register
from buildernet.measure.events import BootPath
from buildernet.measure.prediction import Prediction

AZURE_REGISTERS: Final = (PCRS[4], PCRS[9], PCRS[11])
"""What BuilderNet pins where a vTPM inside the paravisor is the root of trust (sha256 bank)."""

DCAP_REGISTERS: Final = (Register.MRTD, Register.RTMR1, Register.RTMR2)


class Style(StrEnum):
    """Which readers a file is for."""

    NUMBERS = "numbers"
    NAMES = "names"
    LEGACY = "legacy"
    """Numbers, and one record per combination instead of `expected_any`."""


def encode_measurements(prediction: Prediction, *, measurement_id: str, style: Style) -> str:
    """Write the records of one image.

    A register with one legal value is `expected`, with several `expected_any`. The record for
    azure-tdx exists for boots from disk only; the one for dcap-tdx needs TDX firmware. A record
    without registers would accept everything and is therefore never written.

    Args:
        prediction: the image.
        measurement_id: free text, usually the file name of the image.
        style: which readers the file is for.
    """
    records: list[dict[str, Any]] = []  # Any: JSON
    for attestation_type, values in _records(prediction):
        choices = [values]
        if style is Style.LEGACY:
            combinations = itertools.product(*values.values())
            choices = [
                {register: (value,) for register, value in zip(values, chosen, strict=True)}
                for chosen in combinations
            ]
        records += [
            {
                "measurement_id": measurement_id,
                "attestation_type": attestation_type,
                "measurements": {
                    _key(register, style): _expectation(legal) for register, legal in choice.items()
                },
            }
            for choice in choices
        ]
    return json.dumps(records, indent=2) + "\n"


def _records(
    prediction: Prediction,
) -> Iterator[tuple[str, Mapping[Register, tuple[Digest, ...]]]]:
    if prediction.mrtd is not None:
        yield (
            "dcap-tdx",
            {register: prediction.values(register, Bank.SHA384) for register in DCAP_REGISTERS},
        )
    if prediction.boot is BootPath.GPT:
        yield (
            "azure-tdx",
            {register: prediction.values(register, Bank.SHA256) for register in AZURE_REGISTERS},
        )


def _key(register: Register, style: Style) -> str:
    return register.value if style is Style.NAMES else str(register.number)


def _expectation(legal: tuple[Digest, ...]) -> dict[str, Any]:
    if len(legal) == 1:
        return {"expected": legal[0].hex()}
    return {"expected_any": [value.hex() for value in legal]}
