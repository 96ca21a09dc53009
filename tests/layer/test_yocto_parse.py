# SPDX-License-Identifier: MIT
"""Parses the Yocto flavour with the real BitBake and openembedded-core, offline.

Needs checkouts of the repositories in kas.yml at their pinned commits; BUILDERNET_YOCTO_CHECKOUTS
names the folder that holds them. Without it the tests skip: the repositories are on neither PyPI
nor Debian's mirrors.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.yocto import KAS, LAYER, PINNED, Build, layers_of, recipe_value

if TYPE_CHECKING:
    from pathlib import Path

# About 3 000 recipes: three to nine minutes on two cores, shared with others.
PARSE_SECONDS: Final = 1800
# A refusal comes before any recipe is read.
REFUSE_SECONDS: Final = 120
# The graph of both images has about 4 700 tasks, and a dry run starts a process for each.
GRAPH_SECONDS: Final = 7200

pytestmark = [pytest.mark.bitbake, pytest.mark.timeout(PARSE_SECONDS + REFUSE_SECONDS)]


@pytest.mark.parametrize("name", PINNED)
def test_checkout_is_at_the_pinned_commit(checkouts: Path, name: str) -> None:
    head = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", checkouts / name, "rev-parse", "HEAD"],
        text=True, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    assert head.stdout.strip() == PINNED[name]


def test_layer_parses_and_the_image_comes_from_oe(build: Build) -> None:
    build.configure(build.layers)

    # One command for both: -p alone would read every recipe once more.
    shown = build.bitbake("-e", KAS["target"], seconds=PARSE_SECONDS)
    log, _, values = shown.stdout.partition("# INCLUDE HISTORY:")
    assert shown.returncode == 0, log
    assert ", 0 errors." in log or "Loaded" in log
    assert "WARNING" not in log, log
    recipe = LAYER / "oe/recipes-core/images/buildernet-image.bb"
    assert recipe_value(values, "FILE") == str(recipe)
    assert {"systemd", "usrmerge", "seccomp"} <= set(
        recipe_value(values, "DISTRO_FEATURES").split()
    )
    assert "package-management" not in recipe_value(values, "IMAGE_FEATURES").split()
    # No boot loader, no image type of openembedded-core, SPDX 3.
    assert recipe_value(values, "EFI_PROVIDER") == ""
    assert recipe_value(values, "IMAGE_FSTYPES") == ""
    assert "create-spdx" in recipe_value(values, "INHERIT_DISTRO").split()


@pytest.mark.slow
@pytest.mark.timeout(GRAPH_SECONDS)
def test_every_task_of_both_images_has_what_it_needs(build: Build) -> None:
    """A dry run: a missing recipe, package or task ends it."""
    build.configure(build.layers)
    dry = build.bitbake("-n", "buildernet-image", "buildernet-image-dev", seconds=GRAPH_SECONDS)
    assert dry.returncode == 0, dry.stdout[-4000:]
    assert "Nothing" not in dry.stdout, dry.stdout[-4000:]
    for task in ("do_verity", "do_uki", "do_disk", "do_measure", "do_publish", "do_sign"):
        for image in ("buildernet-image.bb", "buildernet-image-dev.bb"):
            assert f"{image}:{task})" in dry.stdout


def test_distribution_without_meta_oe_is_refused(build: Build) -> None:
    core = layers_of("openembedded-core", build.checkouts / "openembedded-core")
    build.configure([*core, LAYER])

    refused = build.bitbake("-p", seconds=REFUSE_SECONDS)
    assert refused.returncode != 0
    assert "add or remove meta-oe" in refused.stdout
