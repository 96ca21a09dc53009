# SPDX-License-Identifier: MIT
"""Every test starts without settings of ours, whatever the shell that started it had set."""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes single examples slow; pytest's own time limit bounds the whole test.
settings.register_profile("project", deadline=None)
# `make check` alone asks for this one; where a test states its number of examples, that holds.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("project")

_OURS = (
    "ARCHIVE_",
    "BUILDER_HUB_",
    "BUILDERNET_",
    "NODE_REGISTRATION_",
    "ORDERFLOW_PROXY_",
    "SYSTEM_API_",
)
# What collection makes lives until the end: looking through it for garbage, again and again, costs
# a tenth of the whole run.
gc.disable()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(_OURS) or name == "NOTIFY_SOCKET":
            monkeypatch.delenv(name)


@pytest.fixture
def _root_logger() -> Iterator[None]:
    """Put back what a command under test configures."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def pytest_collection_finish() -> None:
    """Collect garbage again, of what comes from now on."""
    gc.enable()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the tests that boot an image (tests/image)."""
    group = parser.getgroup("images", "images under test")
    deploy = "build/deploy"
    group.addoption(
        "--image-dir",
        type=Path,
        default=Path(f"{deploy}/buildernet-image"),
        help="deployed production image (default: %(default)s)",
    )
    group.addoption(
        "--dev-image-dir",
        type=Path,
        default=Path(f"{deploy}/buildernet-image-dev"),
        help="deployed development image (default: %(default)s)",
    )
    group.addoption(
        "--skip-images",
        action="store_true",
        help="skip tests of images; without it a missing image is a failure",
    )
