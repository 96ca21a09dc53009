# SPDX-License-Identifier: GPL-2.0-only
"""Stand-in for `hashserv.client`: refuses like the package above it."""

from . import HashServerAbsentError


class Client:
    """Refuses to be made."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise HashServerAbsentError
