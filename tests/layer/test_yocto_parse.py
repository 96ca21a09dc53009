# SPDX-License-Identifier: MIT
"""Parses the Yocto flavour with the real BitBake and openembedded-core, offline.

Needs checkouts of the repositories in kas.yml at their pinned commits; BUILDERNET_YOCTO_CHECKOUTS
names the folder that holds them. Without it the tests skip: the repositories are on neither PyPI
nor Debian's mirrors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
OWN_REPOSITORY = "buildernet"
# About 2 700 recipes: three and a half to eight minutes on two cores, shared with others.
PARSE_SECONDS = 1800
# A refusal comes before any recipe is read.
REFUSE_SECONDS = 120
# openembedded-core refuses to run as root: nobody and nogroup of Debian's base-passwd.
NOBODY = 65534

pytestmark = [pytest.mark.bitbake, pytest.mark.timeout(PARSE_SECONDS + REFUSE_SECONDS)]


@dataclass(frozen=True, slots=True)
class Build:
    """A configured BitBake build folder that an ordinary user may write to."""

    folder: Path
    checkouts: Path

    def configure(self, layers: list[Path]) -> None:
        (self.folder / "conf").mkdir(exist_ok=True)
        listed = " ".join(str(layer) for layer in layers)
        (self.folder / "conf/bblayers.conf").write_text(
            f'BBPATH = "${{TOPDIR}}"\nBBFILES ?= ""\nBBLAYERS = "{listed}"\n'
        )
        (self.folder / "conf/local.conf").write_text(
            f'DISTRO = "{KAS["distro"]}"\nMACHINE = "{KAS["machine"]}"\n'
            'BB_NO_NETWORK = "1"\nCONNECTIVITY_CHECK_URIS = ""\n'
        )

    def bitbake(self, *args: str, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run BitBake, dropping root first."""
        tools = [self.checkouts / "openembedded-core/scripts", self.checkouts / "bitbake/bin"]
        command = ["bitbake", *args]
        if os.geteuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
            command = [
                "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command,
            ]  # fmt: skip
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": ":".join([*map(str, tools), "/usr/sbin:/usr/bin:/sbin:/bin"]),
                "HOME": str(self.folder),
                "BBPATH": str(self.folder),
                "LC_ALL": "C.UTF-8",
                "LOCPATH": str(self.folder / "locale"),
                "BB_ENV_PASSTHROUGH_ADDITIONS": "LOCPATH",
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )


KAS: dict[str, Any] = yaml.safe_load((ROOT / "kas.yml").read_text())
UPSTREAM: dict[str, dict[str, Any]] = {
    name: repo for name, repo in KAS["repos"].items() if name != OWN_REPOSITORY
}


def layers_of(name: str, folder: Path) -> list[Path]:
    """Folders of the layers that kas.yml takes from one repository."""
    listed = KAS["repos"][name]["layers"].items()
    return [folder / layer for layer, setting in listed if setting != "disabled"]


def recipe_value(environment: str, name: str) -> str:
    """The final value of a variable in the output of ``bitbake -e``."""
    return next(
        line.split('"')[1] for line in environment.splitlines() if line.startswith(f'{name}="')
    )


@pytest.fixture(scope="module")
def checkouts() -> Path:
    named = os.environ.get("BUILDERNET_YOCTO_CHECKOUTS")
    if not named:
        pytest.skip(
            "BUILDERNET_YOCTO_CHECKOUTS does not name a folder with the checkouts of kas.yml"
        )
    return Path(named)


@pytest.fixture(scope="module")
def build(checkouts: Path) -> Iterator[Build]:
    folder = Path(tempfile.mkdtemp(prefix="buildernet-yocto-"))
    try:
        # BitBake insists on this locale, which a small host need not have.
        (folder / "locale").mkdir()
        subprocess.run(
            ["localedef", "-i", "en_US", "-f", "UTF-8", folder / "locale/en_US.UTF-8"], check=True
        )
        yield Build(folder, checkouts)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", UPSTREAM)
def test_checkout_is_at_the_pinned_commit(checkouts: Path, name: str) -> None:
    head = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", checkouts / name, "rev-parse", "HEAD"],
        text=True, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    assert head.stdout.strip() == UPSTREAM[name]["commit"]


def test_layer_parses_and_the_image_comes_from_oe(build: Build) -> None:
    upstream = [layer for name in UPSTREAM for layer in layers_of(name, build.checkouts / name)]
    build.configure([*upstream, *layers_of(OWN_REPOSITORY, ROOT)])

    # One command for both: -p alone would read every recipe once more.
    shown = build.bitbake("-e", KAS["target"], seconds=PARSE_SECONDS)
    log, _, values = shown.stdout.partition("# INCLUDE HISTORY:")
    assert shown.returncode == 0, log
    assert ", 0 errors." in log
    assert "WARNING" not in log, log
    recipe = ROOT / "layers/meta-buildernet/oe/recipes-core/images/buildernet-image.bb"
    assert recipe_value(values, "FILE") == str(recipe)
    assert {"systemd", "usrmerge"} <= set(recipe_value(values, "DISTRO_FEATURES").split())
    assert "package-management" not in recipe_value(values, "IMAGE_FEATURES").split()


def test_distribution_without_meta_oe_is_refused(build: Build) -> None:
    core = layers_of("openembedded-core", build.checkouts / "openembedded-core")
    build.configure([*core, *layers_of(OWN_REPOSITORY, ROOT)])

    refused = build.bitbake("-p", seconds=REFUSE_SECONDS)
    assert refused.returncode != 0
    assert "add or remove meta-oe" in refused.stdout
