# SPDX-License-Identifier: MIT
"""The two flavours hold the same: units, users, configuration, ports, packages, Python versions.

What differs is listed, with its reason, in ``layers/meta-buildernet/oe/differences.toml``. Nothing
here needs the upstream layers; ``test_yocto_recipes.py`` compares the list with them.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from debian_lock.requests import read_requests
from packaging.requirements import Requirement
from packaging.version import Version
from uv_lock.wheels import locked_wheels

from tests.support.recipes import appended, assigned, functions_of, own_recipes

ROOT: Final = Path(__file__).resolve().parents[2]
LAYER: Final = ROOT / "layers/meta-buildernet"
SERVICES: Final = LAYER / "include/services.inc"
RECIPES: Final = LAYER / "oe/recipes-services/buildernet"
IMAGES: Final = LAYER / "oe/recipes-core/images"
LISTED: Final[dict[str, dict[str, Any]]] = tomllib.loads(
    (LAYER / "oe/differences.toml").read_text()
)
VARIANTS: Final = {"production": "buildernet-image", "development": "buildernet-image-dev"}
PYPROJECT: Final = tomllib.loads((ROOT / "services/pyproject.toml").read_text())["project"]
# What a recipe's FILES may name beside plain paths.
PLACES: Final = {
    "bindir": "/usr/bin",
    "sysconfdir": "/etc",
    "nonarch_libdir": "/usr/lib",
    "systemd_system_unitdir": "/usr/lib/systemd/system",
    "PYTHON_SITEPACKAGES_DIR": "/usr/lib/python3.14/site-packages",
}


def expand(value: str) -> list[str]:
    return [re.sub(r"\$\{(\w+)\}", lambda m: PLACES[m[1]], word) for word in value.split()]


def locked_versions() -> dict[str, str]:
    wheels = locked_wheels(ROOT / "uv.lock", PYPROJECT["name"])
    return {wheel.name: wheel.version for wheel in wheels}


def yocto_versions() -> dict[str, str]:
    """Version of every run-time dependency in the Yocto flavour: its recipe's, or the LTS's."""
    own = own_recipes("python3-")
    listed = {name: entry.get("wrynose") for name, entry in LISTED["python"].items()}
    return {name: own.get(name) or listed.get(name) or "" for name in locked_versions()}


@pytest.fixture(params=VARIANTS)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What ``install_configuration`` of services.inc makes, by running it as the recipes do."""
    root, unpacked, build = tmp_path / "root", tmp_path / "unpacked", tmp_path / "build"
    unpacked.mkdir()
    for name in ("systemd", "config", "src"):
        (unpacked / name).symlink_to(ROOT / "services" / name)
    (unpacked / "root").symlink_to(LAYER / "files/root")
    (build / "source").mkdir(parents=True)
    (build / "source/src").symlink_to(ROOT / "services/src")
    own = set(re.findall(r"^(BUILDERNET_\w+) = ", SERVICES.read_text(), re.MULTILINE))
    variables: dict[str, str | Path] = {name: assigned(SERVICES, name) for name in own}
    variables |= {"UNPACKDIR": unpacked, "B": build, "RUN_IN_BUILD_ROOT": "", "DISTRO_VERSION": "0"}
    script = "".join(f"{name}='{value}'\n" for name, value in variables.items())
    script += f"set -eu\n{functions_of(SERVICES)}\ninstall_configuration {root} {request.param}\n"
    subprocess.run(["sh", "-c", script], check=True, timeout=60)
    return root


def paths_in(root: Path) -> set[str]:
    return {f"/{path.relative_to(root)}" for path in root.rglob("*") if not path.is_dir()}


def test_every_installed_file_is_in_a_package(installed: Path) -> None:
    """The services' recipe leaves out exactly what the variants' recipes bring."""
    recipe, variant = (
        RECIPES / "buildernet-services_0.1.0.bb",
        RECIPES / "buildernet-variant.inc",
    )
    brought = set(expand(assigned(variant, "VARIANT_FILES")))
    removed = re.search(r"^    rm (\$\{D\}.*)$", functions_of(recipe), re.MULTILINE)
    assert removed
    assert {path.removeprefix("${D}") for path in expand_in(removed[1])} == brought
    assert brought <= paths_in(installed)
    shipped = expand(assigned(recipe, "FILES:${PN}"))
    for path in paths_in(installed) - brought:
        assert any(path.startswith(f"{folder}/") for folder in shipped), path


def expand_in(words: str) -> list[str]:
    return expand(words.replace("${D}", ""))


def test_what_the_variants_recipe_changes_is_listed() -> None:
    edited = set()
    for path in RECIPES.glob("buildernet-*"):
        for line in re.findall(r"^    sed -i .*$", path.read_text(), re.MULTILINE):
            edited |= {place for place in LISTED["files"] if place.split("/")[-1] in line}
            assert any(place.split("/")[-1] in line for place in LISTED["files"]), line
    assert edited == set(LISTED["files"])


def test_every_command_is_a_package_of_its_own() -> None:
    recipe = RECIPES / "buildernet-services_0.1.0.bb"
    assert assigned(recipe, "PACKAGES").split()[0] == "${BUILDERNET_COMMANDS}"
    commands = assigned(SERVICES, "BUILDERNET_COMMANDS").split()
    modules = {command.removeprefix("buildernet-").replace("-", "_") for command in commands}
    present = {path.parent.name for path in (ROOT / "services/src/buildernet").glob("*/cli.py")}
    assert modules <= present
    outside = {
        Path(path).name
        for name in ("buildernet-tools", "buildernet-measure")
        for path in expand(assigned(recipe, f"FILES:{name}"))
    }
    assert sorted(present - modules - outside) == [], "services that are in no package"


def test_users_have_the_same_numbers() -> None:
    sysusers = [
        ROOT / "services/systemd/buildernet.sysusers.conf",
        LAYER / "files/development/usr/lib/sysusers.d/development.conf",
    ]
    debian = {
        line.split()[1]: line.split()[2]
        for path in sysusers
        for line in path.read_text().splitlines()
        if line.startswith("u")
    }
    for table in ("passwd", "group"):
        lines = (LAYER / "include/accounts" / table).read_text().splitlines()
        rows = [line.split(":") for line in lines if not line.startswith("#")]
        numbers = {row[0]: row[2] for row in rows}
        assert len(set(numbers.values())) == len(numbers)
        assert {name: numbers.get(name) for name in debian} == debian
    # The recipe reads the first file; of the second it names what openssh does not make itself.
    recipe = RECIPES / "buildernet-accounts_0.1.0.bb"
    assert str(sysusers[0].relative_to(ROOT)) in recipe.read_text()
    named = assigned(recipe, "USERADD_PARAM:${PN}-dev").split()[1:]
    development = [line.split()[1] for line in sysusers[1].read_text().splitlines() if line]
    assert sorted([*named, "sshd"]) == sorted(development)


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_differ_as_in_the_other_flavour(variant: str) -> None:
    name = VARIANTS[variant]
    ours = IMAGES / f"{name}.bb"
    other = LAYER / "debian/recipes-core/images" / f"{name}.bb"
    assert assigned(ours, "BUILDERNET_VARIANT") == assigned(other, "BUILDERNET_VARIANT") == variant
    assert appended(ours, "UKI_CMDLINE") == appended(other, "UKI_CMDLINE")
    assert ("${LOGIN_FILES}" in ours.read_text()) == ("${LOGIN_FILES}" in other.read_text())
    for flavour in (ours, other):
        shared = (flavour.parent / "buildernet-image.inc").read_text()
        assert "require include/image.inc" in shared
        assert "require include/pruned.inc" in shared


def image_install() -> set[str]:
    shared = assigned(IMAGES / "buildernet-image.inc", "IMAGE_INSTALL").split()
    per_image = [assigned(IMAGES / f"{name}.bb", "IMAGE_INSTALL") for name in VARIANTS.values()]
    return {*shared, *" ".join(per_image).split()}


def test_packages_of_the_other_flavour_are_here_or_explained() -> None:
    locks = LAYER / "debian/locks"
    wanted = {
        name
        for lock in ("target", "target-dev")
        for name in read_requests(locks / f"{lock}.packages").names
    }
    assert sorted(wanted - set(LISTED["packages"])) == []
    install = image_install()
    plain = {here for here in LISTED["packages"].values() if ":" not in here}
    assert sorted(plain - install) == []
    assert sorted(install - plain) == sorted(LISTED["only"])


def test_python_versions_are_those_of_the_lock_or_listed() -> None:
    locked, yocto = locked_versions(), yocto_versions()
    assert [name for name, version in yocto.items() if not version] == []
    own = own_recipes("python3-")
    differing = {name for name in own if name in locked and own[name] != locked[name]}
    listed_as_recipe = {n: e["recipe"] for n, e in LISTED["python"].items() if "recipe" in e}
    assert differing <= set(listed_as_recipe)
    assert {name: own.get(name) for name in listed_as_recipe} == listed_as_recipe
    unlisted = set(locked) - set(own) - set(LISTED["python"])
    assert sorted(unlisted) == []
    # An entry for what has a recipe of the lock's version would be no difference.
    assert sorted(n for n in LISTED["python"] if n in own and n not in listed_as_recipe) == []


def test_versions_of_the_lts_are_new_enough_for_the_services() -> None:
    yocto = yocto_versions()
    for text in PYPROJECT["dependencies"]:
        requirement = Requirement(text)
        version = Version(yocto[requirement.name])
        assert version in requirement.specifier, f"{text}: the Yocto flavour has {version}"


def test_haproxy_is_debians() -> None:
    recipe = next((LAYER / "oe/recipes-connectivity/haproxy").glob("haproxy_*.bb"))
    version = f"{recipe.stem.split('_')[1]}-{assigned(recipe, 'HAPROXY_DEBIAN')}"
    lock = (LAYER / "debian/locks/target.lock.json").read_text()
    locked = re.search(r'"name": "haproxy", "version": "([^"]+)"', lock)
    assert locked is not None
    assert version == locked[1]


@pytest.mark.parametrize("pattern", ["*.cfg"])
def test_no_kernel_option_is_in_two_fragments(pattern: str) -> None:
    folder = LAYER / "oe/recipes-kernel/linux"
    fragments = sorted((folder / "linux-yocto").glob(pattern))
    options = [
        option
        for path in fragments
        for option in re.findall(r"^(?:# )?(CONFIG_\w+)(?:=| is)", path.read_text(), re.MULTILINE)
    ]
    assert options
    assert sorted({option for option in options if options.count(option) > 1}) == []
    used = (folder / "linux-yocto_%.bbappend").read_text()
    assert [path.name for path in fragments if f"file://{path.name}" not in used] == []
    assert not fnmatch.filter(options, "*=m")
