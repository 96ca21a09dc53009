# SPDX-License-Identifier: MIT
"""The recipe of the services really runs, from fetch to finished packages, with tools of the host.

``bitbake -b`` leaves out what other recipes would have built: Python, hatchling, pseudo and dpkg
are the host's, so their versions differ from a build's. All else is openembedded-core's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.recipes import assigned
from tests.support.yocto import LAYER, ROOT, Build

if TYPE_CHECKING:
    from pathlib import Path

SERVICES: Final = LAYER / "include/services.inc"
RECIPE: Final = LAYER / "oe/recipes-services/buildernet/buildernet-services_0.1.0.bb"
TOOLS: Final = ROOT / "tests/support/yocto_host"
PYTHON: Final = "/usr/bin/python3"
# The versions of wrynose.
PYTHON_TOOLS: Final = ("build==1.4.0", "hatchling==1.29.0", "installer==0.7.0")
UV: Final = ROOT / ".venv/bin/uv"
PSEUDO_LIBRARY: Final = "/usr/lib/x86_64-linux-gnu/pseudo/libpseudo.so"
TASKS_SECONDS: Final = 900
# Tasks of one recipe, the last ones being two ends of the same chain.
LAST_TASKS: Final = ("package_qa", "package_write_deb")

pytestmark = [pytest.mark.bitbake, pytest.mark.timeout(TASKS_SECONDS)]


@pytest.fixture(scope="module")
def packages(checkouts: Path, open_folder: Path) -> Path:
    """The folder in which ``do_package`` left one folder per package."""
    for program in ("pseudo", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"this host has no {program} (Debian: apt install pseudo dpkg)")
    base = open_folder
    version = host_tools(base)
    build = Build(base / "build", checkouts)
    build.configure(build.layers, local_conf(base, version))
    classes = build.folder / "classes"
    classes.mkdir()
    shutil.copy(TOOLS / "host-native-tools.bbclass", classes)
    for task in LAST_TASKS:
        ran = build.bitbake(
            "-b", str(RECIPE), "-c", task, seconds=TASKS_SECONDS, tools=base / "tools"
        )
        assert ran.returncode == 0, ran.stdout[-4000:]
        assert "all succeeded" in ran.stdout
    (found,) = build.folder.glob("tmp/work/*/buildernet-services/*/packages-split")
    return found


def host_tools(base: Path) -> str:
    """Make the environment that stands in for native recipes; its Python's version."""
    subprocess.run([UV, "venv", "--quiet", "--python", PYTHON, base / "venv"], check=True)
    python = base / "venv/bin/python"
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", python, *PYTHON_TOOLS],
        check=True,
    )
    shutil.copytree(TOOLS, base / "tools")
    for name, target in {
        "usr/bin/pseudo": shutil.which("pseudo"),
        "usr/bin/pseudodb": shutil.which("pseudodb"),
        "usr/lib/pseudo/lib64/libpseudo.so": PSEUDO_LIBRARY,
    }.items():
        (base / "pseudo" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "pseudo" / name).symlink_to(str(target))
    command = "import sys; print('%d.%d' % sys.version_info[:2])"
    shown = subprocess.run([PYTHON, "-c", command], text=True, stdout=subprocess.PIPE, check=True)
    return shown.stdout.strip()


def local_conf(base: Path, version: str) -> str:
    return f"""
HOSTTOOLS += "dpkg-deb nativepython3 pyproject-build"
INHERIT += "host-native-tools"
INHERIT_DISTRO:remove = "create-spdx uninative"
PACKAGE_CLASSES:forcevariable = "package_deb"
PSEUDO_SYSROOT = "{base}/pseudo"
PYTHON_BASEVERSION:forcevariable = "{version}"
# Needs rpm, and the packages of other recipes, which are not built here.
SKIP_FILEDEPS = "1"
ERROR_QA:remove = "build-deps"
"""


def test_every_service_is_one_package(packages: Path) -> None:
    commands = assigned(SERVICES, "BUILDERNET_COMMANDS").split()
    made = {path.name for path in packages.iterdir() if path.is_dir() and any(path.rglob("*.*"))}
    assert {*commands, "buildernet-measure", "buildernet-tools", "python3-buildernet"} <= made
    assert made >= {"buildernet-services"}
    for command in commands:
        scripts = [path.name for path in (packages / command / "usr/bin").iterdir()]
        assert scripts == [command]
        first = (packages / command / "usr/bin" / command).read_text().splitlines()[0]
        assert first == "#!/usr/bin/env python3"


def test_units_of_the_node_are_in_the_packages(packages: Path) -> None:
    found = {path.name for path in packages.rglob("usr/lib/systemd/system/*") if path.is_file()}
    assert found == set(assigned(SERVICES, "BUILDERNET_UNITS").split())
    node = {p.name for p in (packages / "buildernet-node").rglob("*.service")}
    assert "buildernet-firewall.service" in node


def test_code_is_complete_and_nothing_is_twice(packages: Path) -> None:
    sources = ROOT / "services/src/buildernet"
    there = [
        path.relative_to(package).as_posix().partition("site-packages/buildernet/")[2]
        for package in packages.iterdir()
        for path in package.rglob("site-packages/buildernet/**/*.py")
    ]
    assert len(there) == len(set(there))
    assert set(there) == {path.relative_to(sources).as_posix() for path in sources.rglob("*.py")}


def test_finished_packages_belong_to_root(packages: Path) -> None:
    deploy = packages.parents[4] / "deploy/deb"
    archives = sorted(deploy.rglob("*.deb"))
    names = {path.name.split("_")[0] for path in archives}
    assert set(assigned(SERVICES, "BUILDERNET_COMMANDS").split()) <= names
    for archive in archives:
        listed = subprocess.run(
            ["dpkg-deb", "--contents", archive], text=True, stdout=subprocess.PIPE, check=True
        )
        owners = set(re.findall(r"^\S+ (\S+)", listed.stdout, re.MULTILINE))
        assert owners <= {"root/root"}, archive.name
