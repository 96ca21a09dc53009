# SPDX-License-Identifier: MIT
"""The TCB policy takes what it names, and Revoked never."""

from dataclasses import replace
from typing import Any

import pytest

from buildernet.attestation.errors import PolicyError, VerificationError
from buildernet.attestation.verify import TCBEvaluation, TCBPolicy, TCBStatus

EVALUATION = TCBEvaluation(TCBStatus.OUT_OF_DATE, 1000, frozenset({"INTEL-SA-1"}), 18)
UP_TO_DATE = replace(EVALUATION, status=TCBStatus.UP_TO_DATE)


@pytest.mark.parametrize("status", sorted(set(TCBStatus) - {TCBStatus.UP_TO_DATE}))
def test_default_takes_up_to_date_alone(status: TCBStatus) -> None:
    TCBPolicy().check(UP_TO_DATE, at=0)
    with pytest.raises(VerificationError, match="step K: TCB status: expected UpToDate"):
        TCBPolicy().check(replace(EVALUATION, status=status), at=0)


def test_allowed_statuses_are_taken() -> None:
    TCBPolicy(allowed=frozenset({TCBStatus.OUT_OF_DATE})).check(EVALUATION, at=0)


def test_grace_period_ends() -> None:
    policy = TCBPolicy(grace_period=500)
    policy.check(EVALUATION, at=1500)
    with pytest.raises(VerificationError, match="step K: TCB status"):
        policy.check(EVALUATION, at=1501)


def test_grace_period_is_for_out_of_date_alone() -> None:
    with pytest.raises(VerificationError, match="step K: TCB status"):
        TCBPolicy(grace_period=500).check(
            replace(EVALUATION, status=TCBStatus.CONFIGURATION_NEEDED), at=1000
        )


def test_denied_advisories_are_refused() -> None:
    with pytest.raises(VerificationError, match=r"step K: advisories: .* got INTEL-SA-1"):
        TCBPolicy(denied_advisories=frozenset({"INTEL-SA-1"})).check(UP_TO_DATE, at=0)


def test_old_evaluations_are_refused() -> None:
    TCBPolicy(min_evaluation_number=18).check(UP_TO_DATE, at=0)
    with pytest.raises(VerificationError, match="expected 19 or later, got 18"):
        TCBPolicy(min_evaluation_number=19).check(UP_TO_DATE, at=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed": frozenset()},
        {"allowed": frozenset({TCBStatus.REVOKED})},
        {"grace_period": -1},
        {"min_evaluation_number": -1},
    ],
)
def test_senseless_policies_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        TCBPolicy(**fields)
