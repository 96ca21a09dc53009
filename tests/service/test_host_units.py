# SPDX-License-Identifier: MIT
"""What an operator copies from services/host: examples that load, units that expose little."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from buildernet.archive.config import ArchiveConfig
from buildernet.attested_proxy.config import ServerConfig
from buildernet.base import config
from buildernet.builder_hub.config import HubConfig
from buildernet.builder_hub.database import parse_database_url

ROOT = Path(__file__).parents[2]
HOST = ROOT / "services/host"
UNITS = sorted(HOST.glob("*.service"))
HOW_TO = (ROOT / "docs/how-to/run-a-network.md").read_text()

MAX_EXPOSURE = 20
"""Of 100: `systemd-analyze security` calls everything below 2.0 OK."""

KINDS: dict[str, type] = {
    "archive.toml": ArchiveConfig,
    "attested-proxy-hub.toml": ServerConfig,
    "builder-hub.toml": HubConfig,
}


def settings(unit: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))


def load(name: str) -> object:
    return config.load(KINDS[name], path=HOST / name)


def test_every_example_loads() -> None:
    assert sorted(KINDS) == sorted(path.name for path in HOST.glob("*.toml"))
    for name in KINDS:
        load(name)


def test_hub_and_proxy_fit_each_other() -> None:
    hub, proxy, archive = (
        load("builder-hub.toml"),
        load("attested-proxy-hub.toml"),
        load("archive.toml"),
    )
    assert isinstance(hub, HubConfig)
    assert isinstance(proxy, ServerConfig)
    assert isinstance(archive, ArchiveConfig)
    proxy.peers.require_decision()
    parse_database_url(hub.database_url)
    assert proxy.target_addr == f"http://{hub.listen_addr}"
    assert proxy.target_secret_file == hub.attestation.proxy_secret_file
    assert archive.access.hub_url == f"http://{hub.internal_addr}"
    ports = [hub.listen_addr, hub.internal_addr, hub.admin_addr, hub.metrics_addr]
    ports += [proxy.listen_addr, proxy.listen_addr_healthcheck, archive.general.listen_addr]
    assert len(ports) == len({address.rpartition(":")[2] for address in ports})


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_starts_what_is_installed(unit: Path) -> None:
    said = settings(unit)
    program, *arguments = said["ExecStart"].split()
    scripts = tomllib.loads((ROOT / "services/pyproject.toml").read_text())["project"]["scripts"]
    assert Path(program).parent == Path("/opt/buildernet/bin")
    assert Path(program).name in scripts
    file = Path(arguments[arguments.index("--config") + 1])
    assert (file.parent, file.name in KINDS) == (Path("/etc/buildernet"), True)
    users = (HOST / "buildernet-host.sysusers.conf").read_text()
    assert f"u {said['User']} " in users
    assert {"MemoryMax", "TasksMax", "TimeoutStartSec", "LimitNOFILE"} <= said.keys()
    folders = set(re.findall(r"/var/lib/([a-z-]+)", (HOST / file.name).read_text()))
    assert folders <= {said["StateDirectory"]}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_exposes_little(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--no-pager", "--offline=yes"]
    done = subprocess.run(
        [*command, f"--threshold={MAX_EXPOSURE}", unit],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_how_to_makes_every_file_that_is_named() -> None:
    for path in HOST.iterdir():
        assert path.name in HOW_TO or f"*{path.suffix}" in HOW_TO, path
        for named in re.findall(r"/etc/buildernet/([a-z.-]+)", path.read_text()):
            made = re.search(rf"(>|-out|-keyout) {named}\b", HOW_TO) or (HOST / named).exists()
            assert made, f"{path.name} names {named}, which nobody makes"
