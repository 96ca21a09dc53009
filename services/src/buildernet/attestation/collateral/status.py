# SPDX-License-Identifier: MIT
"""TCB status: how up to date Intel says a platform, module or enclave is.

Reference:
    Intel PCS API documentation v4, "TCB status".
"""

from enum import StrEnum
from typing import Final


class TCBStatus(StrEnum):
    """Status of a TCB level in Intel's words, and the two that follow from a module update."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"
    REVOKED = "Revoked"


INTEL_STATUSES: Final = frozenset(TCBStatus) - {
    TCBStatus.TD_RELAUNCH_ADVISED,
    TCBStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
}
"""What may stand in collateral; the others follow from comparing launch with now."""

ENCLAVE_STATUSES: Final = frozenset(
    {TCBStatus.UP_TO_DATE, TCBStatus.OUT_OF_DATE, TCBStatus.REVOKED}
)
"""What may stand at a level of a TDX module or of the quoting enclave."""
