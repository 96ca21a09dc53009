# SPDX-License-Identifier: MIT
"""Recorded evidence of other projects: beside the checkout, or where a variable says.

Looked up at import, before a test's environment is cleaned.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FOLDER = Path(os.environ.get("BUILDERNET_TEST_DATA") or ROOT.parent / "shared" / "data")


def shared_file(name: str) -> Path:
    """Return a file of the shared data, or skip the test with the reason."""
    path = _FOLDER / name
    if not path.is_file():
        pytest.skip(f"no test data: {path} (set BUILDERNET_TEST_DATA)")
    return path
