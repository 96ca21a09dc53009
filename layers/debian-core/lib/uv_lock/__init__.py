# SPDX-License-Identifier: MIT
"""The wheels that a ``uv.lock`` pins for one project on one platform."""

from uv_lock.wheels import (
    Platform,
    UvLockError,
    Wheel,
    locked_wheels,
    named_wheels,
    pinned_versions,
)

__all__ = ["Platform", "UvLockError", "Wheel", "locked_wheels", "named_wheels", "pinned_versions"]
