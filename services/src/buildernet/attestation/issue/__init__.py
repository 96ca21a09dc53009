# SPDX-License-Identifier: MIT
"""Evidence made inside the guest: the one part of `attestation` that reads devices.

`tpm` is imported only by who has a TPM; everything else works without tpm2-pytss.
"""

from buildernet.attestation.issue.queue import QuoteQueue
from buildernet.attestation.issue.tsm import TSMQuotes

__all__ = ["QuoteQueue", "TSMQuotes"]
