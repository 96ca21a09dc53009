# SPDX-License-Identifier: MIT
"""The systemd units, as far as they can be judged without booting them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from buildernet.base import paths
from buildernet.node.firewall import read_ports

_SERVICES = Path(__file__).parents[2] / "services"
_UNITS = sorted((_SERVICES / "systemd").glob("*.service"))

_MAX_EXPOSURE = 20
"""Of 100: `systemd-analyze security` calls everything below 2.0 OK."""


def _settings(unit: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.stem)
def test_a_unit_exposes_little(unit):
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--no-pager",
            "--offline=yes",
            f"--threshold={_MAX_EXPOSURE}",
            unit,
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.stem)
def test_a_unit_has_limits_and_starts_by_the_preset(unit):
    settings = _settings(unit)
    assert {"MemoryMax", "TasksMax", "TimeoutStartSec"} <= settings.keys()
    preset = (_SERVICES / "systemd/90-buildernet.preset").read_text().splitlines()
    started = unit.with_suffix(".path") if unit.with_suffix(".path").exists() else unit
    assert f"enable {started.name}" in preset
    assert preset[-1] == "disable *"


def test_units_and_code_agree_on_paths():
    measured = _settings(_SERVICES / "systemd/measured-boot.service")
    assert f"/run/{measured['RuntimeDirectory']}" == str(paths.MEASURED_BOOT_DIR)
    api = _settings(_SERVICES / "systemd/system-api.service")
    assert f"/run/{api['RuntimeDirectory']}" == str(paths.SYSTEM_API_FIFO.parent)


def test_users_of_units_are_made_with_fixed_numbers():
    made = re.findall(
        r"^u! (\S+) (\d+) ", (_SERVICES / "systemd/buildernet.sysusers.conf").read_text(), re.M
    )
    used = {user for unit in _UNITS if (user := _settings(unit).get("User"))}
    assert used == {name for name, _ in made}
    numbers = [int(number) for _, number in made]
    assert len(set(numbers)) == len(numbers)
    assert all(800 <= number < 1000 for number in numbers)


def test_every_port_of_the_production_image_belongs_to_a_unit():
    ports = read_ports(_SERVICES / "config/ports.toml").of("production")
    assert {port.service for port in ports} <= {unit.stem for unit in _UNITS}
