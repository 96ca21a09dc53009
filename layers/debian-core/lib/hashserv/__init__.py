# SPDX-License-Identifier: GPL-2.0-only
"""Stand-in for BitBake's `hashserv`, which the `bitbake-setup` wheel does not carry.

BitBake imports it always and calls it only when a hash-equivalence server is configured
(`BB_HASHSERVE`). This layer has none, so every such call ends the build and says why.
"""

import re

import bb

UNIHASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def is_valid_unihash(value: object) -> bool:
    """Say whether a value has the form of a task hash: lower-case hex of SHA-1 or SHA-256."""
    return isinstance(value, str) and UNIHASH.fullmatch(value) is not None


def create_client(*_args: object, **_kwargs: object) -> None:
    """End the build: see the module."""
    bb.fatal(
        "BB_HASHSERVE is set, but this BitBake comes from the bitbake-setup wheel, which has no"
        " hash-equivalence client; unset BB_HASHSERVE or use a full BitBake checkout"
    )


create_server = create_client
