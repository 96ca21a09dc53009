# SPDX-License-Identifier: MIT
"""The systemd units, as far as they can be judged without booting them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from buildernet.attested_proxy import config as attested_proxy
from buildernet.base import paths
from buildernet.net.limits import ServerLimits
from buildernet.node.firewall import read_ports
from buildernet.orderflow_proxy.config import Limits, Peering
from buildernet.orderflow_proxy.peer import MAX_PEERS

_SERVICES = Path(__file__).parents[2] / "services"
_UNITS = sorted((_SERVICES / "systemd").glob("*.service"))

_MAX_EXPOSURE = 20
"""Of 100: `systemd-analyze security` calls everything below 2.0 OK."""

_OTHER_FILES = 64
"""Of a service: its listeners, logs, event loop, database or spool."""


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


def test_units_let_as_many_files_be_open_as_the_code_lets_connections():
    attested, orderflow, health = attested_proxy.Limits(), Limits(), ServerLimits().max_connections
    client = attested_proxy.ClientConfig("").max_server_connections
    of_peers = MAX_PEERS * Peering().connections_per_peer
    for name, connections in {
        # Each request that is forwarded has a connection on the other side.
        "attested-proxy": 2 * attested.max_connections + attested.max_handshakes,
        "attested-proxy-client": attested.max_connections + client,
        "orderflow-proxy": (
            orderflow.max_user_connections + orderflow.max_system_connections + of_peers
        ),
    }.items():
        allowed = int(_settings(_SERVICES / f"systemd/{name}.service")["LimitNOFILE"])
        assert connections + health + _OTHER_FILES <= allowed, name


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
