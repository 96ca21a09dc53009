# SPDX-License-Identifier: MIT
"""How many files and connections this process may have open."""

import logging
import resource
from typing import Final

MAX_OPEN_FILES: Final = 65_536
"""Above what the connection limits of all listeners of a service add up to."""

_log = logging.getLogger(__name__)


def raise_limit() -> None:
    """Raise the soft limit of open files as far as the hard one allows.

    A shell's 1024 is less than one listener's connections: idle ones would keep out everybody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as exc:  # forbidden by a sandbox
        _log.warning("open_files_limited soft=%d wanted=%d reason=%s", soft, wanted, exc)
