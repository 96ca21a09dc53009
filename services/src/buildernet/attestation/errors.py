# SPDX-License-Identifier: MIT
"""Errors of the attestation package."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from buildernet.base.errors import BuildernetError

EXIT_BAD_INPUT: Final = 2


class EventLogError(BuildernetError):
    """The bytes are not a TCG2 event log, are damaged, or exceed a limit."""

    exit_code = EXIT_BAD_INPUT


class DigestError(BuildernetError):
    """A value that should be a digest has the wrong length or is not hex."""

    exit_code = EXIT_BAD_INPUT


class QuoteFormatError(BuildernetError):
    """The bytes are not a TDX quote of a kind this package reads, or are damaged."""

    exit_code = EXIT_BAD_INPUT


class TPMQuoteFormatError(BuildernetError):
    """The bytes are not a TPM 2.0 quote or signature of a kind this package reads."""

    exit_code = EXIT_BAD_INPUT


class AzureEvidenceFormatError(BuildernetError):
    """The bytes are not an Azure HCL report, its runtime claims, or an evidence document."""

    exit_code = EXIT_BAD_INPUT


class CertificateFormatError(BuildernetError):
    """The bytes are not the certificate, chain or revocation list they should be."""

    exit_code = EXIT_BAD_INPUT


class CollateralError(BuildernetError):
    """Collateral is missing, damaged, or cannot be fetched."""


class StaleCollateralError(CollateralError):
    """Collateral is past its nextUpdate and could not be renewed."""


class NodeStatementError(BuildernetError):
    """What a node states about itself is malformed."""

    exit_code = EXIT_BAD_INPUT


class StaleEvidenceError(BuildernetError):
    """Evidence or a statement is too old, or from the future."""


class PossessionError(BuildernetError):
    """A proof that somebody holds a key is malformed or wrong."""


class PolicyError(BuildernetError):
    """A policy is unusable: unreadable, empty, or one that would accept anything."""

    exit_code = EXIT_BAD_INPUT


class VerificationError(BuildernetError):
    """Evidence was read and is refused.

    Attributes:
        step: Label of the failed check: A to L for a TDX quote
            (docs/protocols/tdx-verification.md).
        what: The thing that differs.
        expected: The legal value or values, as text.
        actual: The value found, as text.
        passed: Steps that were passed before, for an explanation of the whole verification.
    """

    def __init__(
        self,
        what: str,
        *,
        step: str,
        expected: object = "",
        actual: object = "",
        hint: str | None = None,
    ) -> None:
        difference = f": expected {expected}, got {actual}" if expected != "" else ""
        super().__init__(f"step {step}: {what}{difference}", hint=hint)
        self.step = step
        self.what = what
        self.expected = str(expected)
        self.actual = str(actual)
        self.passed: tuple[StepRecord, ...] = ()


class MeasurementMismatchError(VerificationError):
    """No record of the measurement policy fits; the nearest record's first difference is named.

    Attributes:
        register: Name of the register, as in published files.
    """

    def __init__(self, register: str, *, step: str, expected: str, actual: str) -> None:
        super().__init__(
            f"register {register}",
            step=step,
            expected=expected,
            actual=actual,
            hint="the machine runs another image, or the measurements are of another release",
        )
        self.register = register


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a verification that was passed."""

    step: str
    """A to L; Z1 to Z4 and T1 to T9 for Azure and TPMs."""
    title: str
    details: tuple[str, ...]
    """What was found, one line each, for a reader."""


@contextmanager
def explaining(passed: Sequence[StepRecord]) -> Iterator[None]:
    """Give a refusal from inside the steps that were passed before it.

    Args:
        passed: may grow while the block runs; what the refusal itself lists comes after it.
    """
    try:
        yield
    except VerificationError as error:
        error.passed = (*passed, *error.passed)
        raise
