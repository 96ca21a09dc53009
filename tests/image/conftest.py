# SPDX-License-Identifier: MIT
"""Fixtures that boot an image once per session and share what was read from it.

A first boot that fails is an error of the test that asked first; later tests skip and name the
cause, so one broken image does not look like forty broken tests. JUnit records what was booted.
"""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.artefacts import DeployedImage, load_image
from tests.harness.kvm import probe_accelerator
from tests.harness.qemu import QEMU
from tests.image.boots import Boots, Reading, Shared

Record = Callable[[str, object], None]


@pytest.fixture(scope="session", autouse=True)
def _images_wanted(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--skip-images"):
        pytest.skip("--skip-images was given")


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> DeployedImage:
    return load_image(request.config.getoption("--image-dir"))


@pytest.fixture(scope="session")
def dev_image(request: pytest.FixtureRequest) -> DeployedImage:
    return load_image(request.config.getoption("--dev-image-dir"))


@pytest.fixture(scope="session")
def boots(
    image: DeployedImage,
    record_testsuite_property: Record,
    tmp_path_factory: pytest.TempPathFactory,
) -> Boots:
    """Starts machines; every test that boots something of its own goes through it."""
    accelerator = probe_accelerator(image.firmware)
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    record_testsuite_property("image", str(image.directory))
    for path in (image.disk, image.uki, image.firmware):
        record_testsuite_property(f"{path.name} sha256", _sha256_hex(path))
    record_testsuite_property("qemu", version.stdout.splitlines()[0])
    record_testsuite_property("accelerator", accelerator.value)

    def report(line: str) -> None:
        record_testsuite_property("retry", line)

    return Boots(image, accelerator, tmp_path_factory.mktemp("consoles"), report)


@pytest.fixture(scope="session")
def _production(boots: Boots) -> Iterator[Shared]:
    with Shared(boots.production) as shared:
        yield shared


@pytest.fixture
def production(_production: Shared) -> Reading:
    """The production image, booted from its disk and still running."""
    return _production.reading()


@pytest.fixture(scope="session")
def _direct(boots: Boots) -> Iterator[Shared]:
    with Shared(boots.direct) as shared:
        yield shared


@pytest.fixture
def direct(production: Reading, _direct: Shared) -> Reading:
    """The same disk attached, but its UKI handed over with `-kernel`."""
    return _direct.reading()


def _sha256_hex(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
