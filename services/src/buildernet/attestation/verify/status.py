# SPDX-License-Identifier: MIT
"""TCB status: how up to date a platform is, and which answers a verifier takes (steps J and K).

Reference:
    Intel PCS API documentation v4, "TCB status"; specs/attestation.md section 2.4, J and K.
"""

from dataclasses import dataclass
from typing import Final

from buildernet.attestation.collateral.status import TCBStatus
from buildernet.attestation.errors import PolicyError
from buildernet.attestation.verify.steps import Step, refusal

OUT_OF_DATE_STATUSES: Final = frozenset(
    {TCBStatus.OUT_OF_DATE, TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED}
)


@dataclass(frozen=True, slots=True)
class TCBEvaluation:
    """What the levels of platform, TDX module and quoting enclave amount to."""

    status: TCBStatus
    tcb_date: int
    """Unix time of the oldest of the three levels."""
    advisories: frozenset[str]
    """Intel security advisories that apply, as `INTEL-SA-00000`."""
    evaluation_number: int
    """The lower tcbEvaluationDataNumber of TCB info and QE identity."""


@dataclass(frozen=True, slots=True)
class TCBPolicy:
    """Which evaluations are taken; by default only a platform that is up to date.

    Raises:
        PolicyError: nothing is allowed, Revoked is allowed, or a number is negative.
    """

    allowed: frozenset[TCBStatus] = frozenset({TCBStatus.UP_TO_DATE})
    denied_advisories: frozenset[str] = frozenset()
    grace_period: int = 0
    """Seconds after the TCB date during which OutOfDate and OutOfDateConfigurationNeeded are
    taken; 0 takes them only if they are in `allowed`."""
    min_evaluation_number: int = 0

    def __post_init__(self) -> None:
        if not self.allowed:
            raise PolicyError("the list of allowed TCB statuses is empty: nothing could pass")
        if TCBStatus.REVOKED in self.allowed:
            raise PolicyError("TCB status Revoked can never be allowed")
        if self.grace_period < 0 or self.min_evaluation_number < 0:
            raise PolicyError("grace period and evaluation number cannot be negative")

    def check(self, evaluation: TCBEvaluation, *, at: int) -> None:
        """Step K.

        Raises:
            VerificationError: the policy does not take this evaluation.
        """
        number = evaluation.evaluation_number
        if number < self.min_evaluation_number:
            wanted = f"{self.min_evaluation_number} or later"
            raise refusal(Step.TCB_POLICY, "TCB evaluation data number", wanted, number)
        denied = sorted(evaluation.advisories & self.denied_advisories)
        if denied:
            raise refusal(Step.TCB_POLICY, "advisories", "none that are denied", ", ".join(denied))
        in_grace = (
            evaluation.status in OUT_OF_DATE_STATUSES
            and at <= evaluation.tcb_date + self.grace_period
        )
        if evaluation.status not in self.allowed and not (self.grace_period and in_grace):
            advisories = ", ".join(sorted(evaluation.advisories)) or "no advisory"
            raise refusal(
                Step.TCB_POLICY,
                "TCB status",
                " or ".join(sorted(self.allowed)),
                f"{evaluation.status} ({advisories})",
                hint="the host needs a newer microcode or TDX module, or the policy an exception",
            )


UP_TO_DATE_ONLY: Final = TCBPolicy()

OUT_OF_DATE_TOO: Final = TCBPolicy(allowed=frozenset({TCBStatus.UP_TO_DATE, *OUT_OF_DATE_STATUSES}))
"""For Azure, whose hosts are often behind; asked for by name."""
