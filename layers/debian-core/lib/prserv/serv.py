# SPDX-License-Identifier: GPL-2.0-only
"""Stand-in for the package-revision service: absent, and refused loudly where it is configured."""

from typing import Any

import bb


class PRServiceConfigError(Exception):
    """The name BitBake catches; never raised, because BitBake would hide the reason."""


def auto_start(d: Any) -> None:
    """Do nothing; end the build when the configuration asks for a service."""
    if d.getVar("PRSERV_HOST"):
        bb.fatal(
            "PRSERV_HOST is set, but this BitBake comes from the bitbake-setup wheel, which has no"
            " package-revision service; unset it or use a full BitBake checkout"
        )


def auto_shutdown() -> None:
    """Nothing was started."""
