# SPDX-License-Identifier: MIT
"""The built production root holds no way in and nothing that gives away privileges."""

import re
import stat
from pathlib import Path

import pytest

from buildernet.node.firewall import read_ports, ruleset
from tests.image.built_root import REPOSITORY, extract_root, run_in_build_root

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

FORBIDDEN_PROGRAMS = {
    *("sshd", "ssh", "dropbear", "telnetd", "agetty", "getty", "login", "sulogin", "su", "sudo"),
    *("apt", "apt-get", "dpkg", "rpm", "opkg", "pip", "pip3", "uv", "snap", "flatpak"),
    *("gdb", "strace", "tcpdump", "nc", "ncat", "socat", "curl", "wget"),
}
"""Ways in, package managers, and tools that help only whoever is in already."""
FORBIDDEN_UNITS = re.compile(r"getty|ssh|debug-shell|rescue|emergency|telnet|cloud-init|apt-|dpkg-")
LOCKED = re.compile(r"[!*].*|x")
"""Password fields that nothing matches; x points to a shadow file, which is checked too."""
MAX_EXPOSURE = 2.0
"""`systemd-analyze security`, from 0 (no exposure) to 10; up to 2.0 systemd calls a unit OK."""
TRIGGERED_UNITS = {"haproxy-certificate.service"}
"""Started by another unit, never by themselves."""
OUR_UNITS = sorted(
    path.name for path in (Path(__file__).parents[2] / "services/systemd").glob("*.service")
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("built-root")


@pytest.fixture(scope="module")
def root(image, work):
    return extract_root(image, work)


@pytest.fixture(scope="module")
def entries(root):
    """Every file and folder of the root with its status, links not followed."""
    found = {path.relative_to(root): path.lstat() for path in root.rglob("*")}
    assert len(found) > 500, "the root was not extracted"
    return found


def test_no_program_is_a_way_in_or_a_package_manager(entries):
    programs = {
        path
        for path, status in entries.items()
        if path.parent.name in ("bin", "sbin") and not stat.S_ISDIR(status.st_mode)
    }
    assert programs
    assert {str(path) for path in programs if path.name in FORBIDDEN_PROGRAMS} == set()


def test_nothing_is_setuid_or_setgid(entries):
    special = stat.S_ISUID | stat.S_ISGID
    assert {str(path) for path, status in entries.items() if status.st_mode & special} == set()


def test_nothing_is_world_writable(entries):
    writable = {
        str(path)
        for path, status in entries.items()
        if status.st_mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode)
    }
    assert writable == set()


def test_no_device_nodes_or_fifos(entries):
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    odd = {
        path for path, status in entries.items() if not any(is_(status.st_mode) for is_ in kinds)
    }
    assert odd == set()


def test_no_unit_gives_a_prompt_or_a_shell(entries):
    units = {
        path
        for path in entries
        if "systemd/system" in str(path.parent) and path.suffix in (".service", ".socket")
    }
    assert any(path.name == "system-api.service" for path in units)
    assert {str(path) for path in units if FORBIDDEN_UNITS.search(path.name)} == set()


def test_only_the_preset_units_are_enabled(entries, root):
    preset = (root / "usr/lib/systemd/system-preset/90-buildernet.preset").read_text()
    wanted = set(re.findall(r"^enable (\S+)$", preset, re.MULTILINE))
    enabled = {
        path.name
        for path in entries
        if path.parts[:3] == ("etc", "systemd", "system")
        and path.parent.suffix in (".wants", ".requires")
        and path.suffix in (".service", ".socket", ".timer")
    }
    # Units may bring others by Also=; those are parts of what was enabled.
    brought = {name for name in enabled if name.startswith(("systemd-network", "systemd-resolved"))}
    assert enabled - brought <= wanted
    assert set(OUR_UNITS) - TRIGGERED_UNITS <= enabled


def test_production_takes_no_settings_from_its_host(entries, image):
    assert b"systemd.import_credentials=no" in image.uki.read_bytes()
    assert [str(path) for path in entries if path.name == "host-settings.conf"] == []


def test_no_account_has_a_password(root):
    accounts = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    assert accounts
    shadow = root / "etc/shadow"
    lines = shadow.read_text().splitlines() if shadow.exists() else []
    fields = accounts + [line.split(":") for line in lines]
    assert [field[:2] for field in fields if not LOCKED.fullmatch(field[1])] == []


def test_nothing_identifies_a_single_machine(entries, root):
    assert (root / "etc/machine-id").read_bytes() == b""
    keys = [path for path in entries if path.name.startswith("ssh_host_")]
    assert keys == []
    assert [path for path in (root / "var").rglob("*") if path.is_file()] == []


def test_the_firewall_is_made_from_the_port_list(root):
    ports = read_ports(REPOSITORY / "services/config/ports.toml")
    expected = ruleset(ports, variant="production")
    assert (root / "etc/nftables.conf").read_text() == expected


@pytest.mark.parametrize("unit", OUR_UNITS)
def test_a_unit_is_sandboxed(root, work, unit):
    options = ("security", "--offline=true", f"--root={root}", "--no-pager")
    result = run_in_build_root(work, "systemd-analyze", *options, unit)
    match = re.search(rf"Overall exposure level for {unit}: ([0-9.]+)", result.stdout)
    assert match, result.stdout + result.stderr
    assert float(match[1]) <= MAX_EXPOSURE


def test_the_root_says_what_it_is(root: Path):
    release = (root / "usr/lib/os-release").read_text()
    assert "\nVARIANT_ID=production\n" in release
