# SPDX-License-Identifier: MIT
"""The twelve steps of a quote's verification, in the order in which they are taken.

Reference:
    docs/protocols/tdx-verification.md explains each; specs/attestation.md section 2.4.
"""

from enum import StrEnum
from typing import Final

from buildernet.attestation.errors import StepRecord, VerificationError


class Step(StrEnum):
    """Label of a step, as errors and documents name it."""

    PARSE = "A"
    ANCHOR = "B"
    PCK_CHAIN = "C"
    SIGNED_COLLATERAL = "D"
    PLATFORM_IDENTITY = "E"
    QUOTING_ENCLAVE = "F"
    QUOTE_SIGNATURE = "G"
    TDX_MODULE = "H"
    PLATFORM_TCB = "I"
    CONVERGE = "J"
    TCB_POLICY = "K"
    TD_POLICY = "L"


TITLES: Final = {
    Step.PARSE: "quote is well formed",
    Step.ANCHOR: "root certificate is a trusted one",
    Step.PCK_CHAIN: "PCK certificate chain and revocation lists",
    Step.SIGNED_COLLATERAL: "TCB info and QE identity are signed and current",
    Step.PLATFORM_IDENTITY: "TCB info is about this platform",
    Step.QUOTING_ENCLAVE: "quoting enclave is Intel's and vouches for the attestation key",
    Step.QUOTE_SIGNATURE: "quote is signed by the attestation key",
    Step.TDX_MODULE: "TDX module is a known one",
    Step.PLATFORM_TCB: "platform's security version has a level",
    Step.CONVERGE: "status of platform, module and quoting enclave together",
    Step.TCB_POLICY: "status is acceptable to the policy",
    Step.TD_POLICY: "trust domain is as the policy demands",
}


class Trail:
    """Collects what each passed step found."""

    def __init__(self) -> None:
        self._passed: list[StepRecord] = []

    def passed(self, step: Step, *details: str) -> None:
        """Note that a step was passed."""
        self._passed.append(StepRecord(step=step, title=TITLES[step], details=details))

    @property
    def records(self) -> tuple[StepRecord, ...]:
        """The steps passed so far, in order."""
        return tuple(self._passed)


def refusal(
    step: Step, what: str, expected: object, actual: object, *, hint: str | None = None
) -> VerificationError:
    """Return the error of a failed check, to be raised."""
    return VerificationError(what, step=step, expected=expected, actual=actual, hint=hint)
