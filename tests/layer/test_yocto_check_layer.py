# SPDX-License-Identifier: MIT
"""yocto-check-layer accepts meta-buildernet.

It parses everything about eight times: half an hour on two idle cores.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.yocto import LAYER, ROOT, Build

if TYPE_CHECKING:
    from pathlib import Path

CHECK_SECONDS: Final = 3 * 3600

pytestmark = [pytest.mark.bitbake, pytest.mark.slow, pytest.mark.timeout(CHECK_SECONDS)]


def test_yocto_check_layer_passes(checkouts: Path, open_folder: Path) -> None:
    # A copy of what git tracks: an ordinary user can read it, and nobody edits it meanwhile.
    base = open_folder
    tree = base / "tree"
    tree.mkdir()
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", "HEAD"], stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "x", "-C", tree], input=archive.stdout, check=True)
    build = Build(base / "build", checkouts)
    build.configure(build.upstream, 'CONF_VERSION = "2"\n', distro="nodistro")
    layer = tree / LAYER.relative_to(ROOT)
    checked = build.run(
        ["yocto-check-layer", "--no-auto", "--no-auto-dependency", str(layer)],
        seconds=CHECK_SECONDS,
    )
    assert checked.returncode == 0, checked.stdout[-6000:]
    assert re.search(r"meta-buildernet\s.*PASS", checked.stdout), checked.stdout[-6000:]
