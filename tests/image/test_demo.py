# SPDX-License-Identifier: MIT
"""`make demo`: an image that is not the published one is named; an order finds its way."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.harness.tamper import change_command_line, find_uki
from tests.image.boots import BOOT_SECONDS
from tests.image.built_root import REPOSITORY

NETWORK_SECONDS = 250
"""Two machines and a network at once; about 90 s on two idle cores."""

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]


def test_the_demo_names_a_changed_command_line(image, production, tmp_path):
    folder = tmp_path / "image"
    shutil.copytree(image.directory, folder)
    uki = image.uki.read_bytes()
    with (folder / "disk.raw").open("r+b") as disk:
        disk.seek(find_uki(image.disk, uki))
        disk.write(change_command_line(uki))
    result = subprocess.run(
        [sys.executable, REPOSITORY / "scripts/demo", "--compare-only", "--image-dir", folder],
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=BOOT_SECONDS,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "GET http://127.0.0.1:" in result.stderr, "progress is shown"
    assert "content of section .cmdline: different" in result.stdout
    assert "this is not the published image" in result.stdout


def test_an_order_reaches_both_builders_and_the_archive_once(dev_image):
    """Two nodes that proved themselves to hub and each other; one of them in the machine."""
    command = [sys.executable, str(REPOSITORY / "scripts/demo"), "--json"]
    result = subprocess.run(
        [*command, f"--image-dir={dev_image.directory}", f"--timeout={NETWORK_SECONDS}"],
        capture_output=True,
        text=True,
        timeout=2 * NETWORK_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    orders = json.loads(result.stdout)["orders"]
    assert [arrival["times"] for arrival in orders["arrivals"]] == [1, 1, 1]
    assert orders["problems"] == []
    assert json.loads(orders["duplicate_answer"])["bundleHash"] == orders["bundle_hash"]
