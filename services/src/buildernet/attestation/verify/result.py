# SPDX-License-Identifier: MIT
"""What a passed verification established."""

from collections.abc import Mapping
from dataclasses import dataclass

from buildernet.attestation.collateral.status import TCBStatus
from buildernet.attestation.errors import StepRecord
from buildernet.attestation.policy import MeasurementMatch
from buildernet.attestation.quote import Quote
from buildernet.attestation.registers import Digest48, Register
from buildernet.attestation.verify.status import TCBEvaluation


@dataclass(frozen=True, slots=True)
class VerifiedQuote:
    """A quote that passed steps A to L."""

    quote: Quote
    evaluation: TCBEvaluation
    fmspc: bytes
    """6 bytes: family, model, stepping, platform and custom SKU of the host."""
    match: MeasurementMatch | None
    """The record of the measurement policy that fits; None if the caller compares for itself."""
    steps: tuple[StepRecord, ...]

    @property
    def registers(self) -> Mapping[Register, Digest48]:
        """MRTD and RTMR0 to RTMR3, authentic."""
        return self.quote.body.registers

    @property
    def report_data(self) -> bytes:
        """64 bytes, authentic; checked only if the caller named what to expect."""
        return self.quote.body.report_data

    @property
    def status(self) -> TCBStatus:
        """The converged TCB status."""
        return self.evaluation.status

    @property
    def advisories(self) -> frozenset[str]:
        """Intel security advisories that apply."""
        return self.evaluation.advisories
