# SPDX-License-Identifier: MIT
"""What a deployed image tells: its size, how soon it is ready, the memory it needs."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, take
from tests.harness.artefacts import DeployedImage, load_image
from tests.harness.boot import boot_to_live
from tests.harness.deadline import Deadline
from tests.harness.guest_api import SYSTEM_API_PORT, GuestAPI
from tests.harness.kvm import probe_accelerator
from tests.harness.qemu import MachineSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1 << 20
BOOT_SECONDS: Final = 300.0
SSH_PORT: Final = 40192
SSH_OPTIONS: Final = (
    *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"),
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=30"),
)
DISK_AIM_MIB: Final = 200.0
BOOT_AIM_SECONDS: Final = 40.0
MEMORY_AIM_MIB: Final = 300.0
MEASUREMENT_AIM_SECONDS: Final = 0.5
ATTEMPTS: Final = 3
"""Of the measurement, which is short: the best is the one the machine disturbed least."""


def measure_image(deploy: Path) -> Iterator[Figure]:
    """Figures of what was deployed."""
    production = load_image(deploy / "buildernet-image")
    development = load_image(deploy / "buildernet-image-dev")
    accelerator = probe_accelerator(production.firmware).value
    yield take("disk image", "MiB", lambda: production.disk.stat().st_size / MIB, aim=DISK_AIM_MIB)
    note = f"power on to GET /readyz, {accelerator}"
    yield take("boot to ready", "s", lambda: _boot(production), aim=BOOT_AIM_SECONDS, note=note)
    note = "MemTotal - MemAvailable; development image, which runs more"
    yield take("idle memory", "MiB", lambda: _memory(development), aim=MEMORY_AIM_MIB, note=note)
    note = "buildernet-measure image, whole process"
    yield take(
        "measurement", "s", lambda: _predict(production), aim=MEASUREMENT_AIM_SECONDS, note=note
    )


def _boot(image: DeployedImage) -> float:
    with _running(_spec(image), "/readyz") as (_, seconds):
        return seconds


def _memory(image: DeployedImage) -> float:
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = key.with_suffix(".pub").read_text().strip()
        spec = replace(
            _spec(image),
            guest_ports=(SYSTEM_API_PORT, SSH_PORT),
            credentials=(("ssh.authorized_keys.root", public),),
        )
        with _running(spec, "/readyz") as (api, _):
            port = str(api.machine.ports[SSH_PORT])
            command = ["ssh", *SSH_OPTIONS, "-i", str(key), "-p", port, "root@127.0.0.1"]
            meminfo = subprocess.run(
                [*command, "cat /proc/meminfo"],
                capture_output=True,
                text=True,
                check=True,
                timeout=BOOT_SECONDS,
            ).stdout
    kib = {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB$", meminfo, re.M)}
    return (kib["MemTotal"] - kib["MemAvailable"]) / 1024


def _predict(image: DeployedImage) -> float:
    command = [str(Path(sys.executable).with_name("buildernet-measure")), "image", str(image.disk)]
    seconds = []
    for _ in range(ATTEMPTS):
        begun = time.monotonic()
        subprocess.run(
            [*command, "--firmware", str(image.firmware), "--boot", "gpt"],
            check=True,
            capture_output=True,
        )
        seconds.append(time.monotonic() - begun)
    return min(seconds)


def _spec(image: DeployedImage) -> MachineSpec:
    accelerator = probe_accelerator(image.firmware)
    return MachineSpec(
        firmware=image.firmware,
        disk=image.disk,
        guest_ports=(SYSTEM_API_PORT,),
        accelerator=accelerator,
    )


@contextlib.contextmanager
def _running(spec: MachineSpec, path: str) -> Iterator[tuple[GuestAPI, float]]:
    """A booted machine and the seconds it took; a boot that hung and was repeated counts whole."""
    deadline = Deadline.after(BOOT_SECONDS)

    def report(line: str) -> None:
        print(f"bench: {line}", file=sys.stderr)  # noqa: T201

    with boot_to_live(spec, deadline, report=report) as api:
        yield api, api.wait_live(deadline, path)
