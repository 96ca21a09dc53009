# SPDX-License-Identifier: MIT
"""The development image lets in whoever holds the key given at start, and nobody mistakes it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from buildernet.node.firewall import read_ports
from tests.harness.attested_port import ATTESTED_PORT, wait_for_tls
from tests.harness.deadline import Deadline
from tests.harness.guest_api import SYSTEM_API_PORT
from tests.image.boots import BOOT_SECONDS, Boots, Reading
from tests.image.explaining import explain
from tests.support.demo_attested import ask, copy_with_other_command_line

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

PORTS = Path(__file__).parents[2] / "services/config/ports.toml"
SSH_PORT = 40192
ATTESTED_SECONDS = 120
"""From /livez until attested-proxy listens; about 10 s were seen, on two busy cores 30."""
SSH_SECONDS = 180
"""One command waits until every unit has started: 20 s behind /livez, on busy cores a minute."""
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
        guest_ports=(SYSTEM_API_PORT, SSH_PORT, ATTESTED_PORT),
        credentials=(("ssh.authorized_keys.root", public),),
        neighbour=True,
        cx16=True,  # for HAProxy
    )
    with own.read(spec) as reading:
        wait_for_tls(reading.machine, Deadline.after(ATTESTED_SECONDS))
        # What users and nodes reach comes last: haproxy.service, behind orderflow-proxy.service.
        in_guest(reading, key, "systemctl is-system-running --wait")
        yield reading


def in_guest(reading: Reading, key: Path, command: str) -> subprocess.CompletedProcess[str]:
    port = str(reading.machine.ports[SSH_PORT])
    return subprocess.run(
        ["ssh", *SSH_OPTIONS, "-i", key, "-p", port, "root@127.0.0.1", command],
        capture_output=True,
        text=True,
        timeout=SSH_SECONDS,
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


def test_it_asks_the_name_servers_of_its_network(development, key):
    """QEMU's own network says 10.0.2.3; from the sandbox of who needs names."""
    enter = (
        "nsenter --target $(systemctl show --property MainPID --value orderflow-proxy)"
        " --mount cat /etc/resolv.conf"
    )
    result = in_guest(development, key, enter)
    assert "nameserver 10.0.2.3" in result.stdout.splitlines(), result.stderr


def test_no_unit_failed(development, key):
    result = in_guest(development, key, "systemctl --failed --plain --no-legend")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_attested_proxy_reaches_the_tpm_and_no_other_device(development, key):
    """From inside its sandbox: its device rules, its files."""
    script = (
        "import os; from buildernet.attestation.issue.tpm import TPM;"
        "from buildernet.attestation.registers import Bank;"
        "print(len(TPM().read_pcrs(Bank.SHA256, range(24))), os.path.exists('/dev/vda'))"
    )
    enter = (
        "echo $$ > /sys/fs/cgroup/system.slice/attested-proxy.service/cgroup.procs &&"
        " exec nsenter --target $(systemctl show --property MainPID --value attested-proxy)"
        f' --mount python3 -W ignore -c "{script}"'
    )
    result = in_guest(development, key, enter)
    assert (result.returncode, result.stdout) == (0, "24 False\n"), result.stderr


def test_a_third_party_takes_its_certificate(dev_image, development, tmp_path):
    answer = ask(dev_image, development.machine.ports[ATTESTED_PORT], tmp_path)
    assert answer.status == 0, answer.said
    assert "BEGIN CERTIFICATE" in answer.certificate


def test_a_third_party_does_not_take_it_for_production(image, development, tmp_path):
    answer = ask(image, development.machine.ports[ATTESTED_PORT], tmp_path)
    assert answer.status == 1, answer.said
    assert "register rtmr1: expected" in answer.said
    assert answer.certificate == ""


def test_a_tampered_copy_is_refused(dev_image, boots, tmp_path):
    own = Boots(dev_image, boots.accelerator, tmp_path, boots.report)
    disk = copy_with_other_command_line(dev_image, tmp_path)
    spec = replace(own.spec(disk), guest_ports=(SYSTEM_API_PORT, ATTESTED_PORT))
    with own.start(spec) as machine:
        wait_for_tls(machine, Deadline.after(BOOT_SECONDS))
        answer = ask(dev_image, machine.ports[ATTESTED_PORT], tmp_path)
    assert answer.status == 1, answer.said
    assert "register rtmr1: expected" in answer.said
    assert answer.certificate == ""


def test_production_holds_no_simulator(image, dev_image):
    simulator = ("simulated", "mfusepy", "public-chain", "minted")
    for deployed, expected in ((image, False), (dev_image, True)):
        listing = (deployed.disk.parent / "rootfs-files.json").read_text()
        assert any(word in listing for word in simulator) is expected, deployed.disk.parent
