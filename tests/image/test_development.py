# SPDX-License-Identifier: MIT
"""The development image lets in whoever holds the key given at start, and nobody mistakes it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from buildernet.node.firewall import read_ports
from tests.harness.deadline import Deadline
from tests.harness.guest_api import SYSTEM_API_PORT
from tests.image.boots import Boots, Reading
from tests.image.explaining import explain

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

PORTS = Path(__file__).parents[2] / "services/config/ports.toml"
SSH_PORT = 40192
SSH_OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"),
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=30"),
)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A private key made for this run; its public half is beside it."""
    path = tmp_path_factory.mktemp("ssh") / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
    subprocess.run(command, check=True, timeout=30)
    return path


@pytest.fixture(scope="module")
def development(dev_image, boots, key, tmp_path_factory):
    own = Boots(dev_image, boots.accelerator, tmp_path_factory.mktemp("consoles"), boots.report)
    public = key.with_suffix(".pub").read_text().strip()
    spec = replace(
        own.spec(dev_image.disk),
        guest_ports=(SYSTEM_API_PORT, SSH_PORT),
        credentials=(("ssh.authorized_keys.root", public),),
        neighbour=True,
    )
    with own.read(spec) as reading:
        yield reading


def in_guest(reading: Reading, key: Path, command: str) -> subprocess.CompletedProcess[str]:
    port = str(reading.machine.ports[SSH_PORT])
    return subprocess.run(
        ["ssh", *SSH_OPTIONS, "-i", key, "-p", port, "root@127.0.0.1", command],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_it_measures_as_published(dev_image, development, tmp_path):
    explanation = explain(dev_image.events, development, tmp_path)
    assert explanation.status == 0, explanation.text


def test_it_cannot_pass_for_production(image, development, tmp_path):
    explanation = explain(image.events, development, tmp_path)
    assert explanation.status == 1
    assert {"pcr4", "pcr9", "pcr11"} <= {register for register, _, _ in explanation.mismatches}


def test_the_key_opens_a_shell(development, key):
    result = in_guest(development, key, "cat /usr/lib/os-release")
    assert result.returncode == 0, result.stderr
    assert "VARIANT_ID=development" in result.stdout


def test_another_key_does_not(development, tmp_path):
    other = tmp_path / "other"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other]
    subprocess.run(command, check=True, timeout=30)
    result = in_guest(development, other, "true")
    assert result.returncode == 255
    assert "Permission denied" in result.stderr


def test_open_ports_are_the_port_list(development):
    listed = {port.port for port in read_ports(PORTS).of("development") if port.protocol == "tcp"}
    scan = development.machine.scan_ports(range(1, 65536), SYSTEM_API_PORT, Deadline.after(120))
    assert scan == listed


def test_no_unit_failed(development, key):
    result = in_guest(development, key, "systemctl --failed --plain --no-legend")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
