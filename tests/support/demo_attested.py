# SPDX-License-Identifier: MIT
"""A third party in `make demo`: it asks a node for its certificate and for proof, or refuses it."""

import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.attestation.collateral.documents import encode_bundle
from tests.harness import tamper
from tests.harness.artefacts import DeployedImage
from tests.support.simulated_tee.chain import PUBLIC_CHAIN, ROOT_FILE, collateral_at, load_chain

ATTESTED_GET: Final = Path(__file__).parents[2] / ".venv/bin/attested-get"
GET_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What `attested-get` did, and the certificate it took, if it took one."""

    command: str
    status: int
    said: str
    certificate: str
    wanted: int
    """Exit code that the demonstration is about: 0 taken, 1 refused."""

    @property
    def as_wanted(self) -> bool:
        """Whether it went as demonstrated."""
        return self.status == self.wanted


def ask(image: DeployedImage, port: int, work: Path, *, taken: bool = True) -> Answer:
    """Run `attested-get` against a forwarded port, with the measurements the build published."""
    collateral, response = work / "collateral.json", work / "certificate.pem"
    response.unlink(missing_ok=True)
    collateral.write_text(encode_bundle([collateral_at(load_chain(), int(time.time()))]))
    command = [
        str(ATTESTED_GET),
        f"https://127.0.0.1:{port}/cert",
        f"--expected-measurements={image.measurements}",
        f"--collateral={collateral}",
        f"--trust-root={PUBLIC_CHAIN / ROOT_FILE}",
        f"--out-response={response}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GET_SECONDS, check=False)
    certificate = response.read_text() if response.exists() else ""
    said = done.stderr.strip()
    return Answer(shlex.join(command), done.returncode, said, certificate, wanted=int(not taken))


def copy_with_other_command_line(image: DeployedImage, work: Path) -> Path:
    """Return a copy of the image's disk whose kernel gets another command line."""
    disk = work / "tampered.raw"
    subprocess.run(
        ["cp", "--reflink=auto", "--sparse=always", image.disk, disk], check=True, timeout=60
    )
    uki = image.uki.read_bytes()
    position = tamper.find_uki(disk, uki)
    with disk.open("r+b") as file:
        file.seek(position)
        file.write(tamper.change_command_line(uki))
    return disk
