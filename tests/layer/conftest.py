# SPDX-License-Identifier: MIT
"""Fixtures of the tests that need checkouts of openembedded-core and its companions."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.yocto import CHECKOUTS, KEPT_BUILD, Build

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def checkouts() -> Path:
    named = os.environ.get(CHECKOUTS)
    if not named:
        pytest.skip(f"{CHECKOUTS} does not name a folder with the checkouts of kas.yml")
    return Path(named)


@pytest.fixture(scope="session")
def build(checkouts: Path) -> Iterator[Build]:
    """The build folder of all tests; kept, with what was parsed, where a variable names it."""
    kept = os.environ.get(KEPT_BUILD)
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="buildernet-yocto-"))
    try:
        yield Build(folder, checkouts)
    finally:
        if not kept:
            # Not all of it is there for long: BitBake's server goes a second after its client.
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder whose parents everybody may enter, unlike those of ``tmp_path``."""
    folder = Path(tempfile.mkdtemp(prefix="buildernet-yocto-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        # Not all of it is there for long: BitBake's server goes a second after its client.
        shutil.rmtree(folder, ignore_errors=True)
