# SPDX-License-Identifier: MIT
"""Runs BitBake on checkouts of openembedded-core: offline, as an ordinary user.

The checkouts are those of kas.yml at the commits of kas.lock.yml, in one folder, under the names
that kas.yml gives them.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
LAYER: Final = ROOT / "layers/meta-buildernet"
KAS: Final[dict[str, Any]] = yaml.safe_load((ROOT / "kas.yml").read_text())
LOCK: Final[dict[str, Any]] = yaml.safe_load((ROOT / "kas.lock.yml").read_text())
PINNED: Final[dict[str, str]] = {
    name: repo["commit"] for name, repo in LOCK["overrides"]["repos"].items()
}
OWN_REPOSITORY: Final = "buildernet"
# openembedded-core refuses to run as root: nobody and nogroup of Debian's base-passwd.
NOBODY: Final = 65534
CHECKOUTS: Final = "BUILDERNET_YOCTO_CHECKOUTS"
KEPT_BUILD: Final = "BUILDERNET_YOCTO_BUILD"


def layers_of(name: str, folder: Path) -> list[Path]:
    """Folders of the layers that kas.yml takes from one repository."""
    listed = KAS["repos"][name]["layers"].items()
    return [folder / layer for layer, setting in listed if setting != "disabled"]


@dataclass(frozen=True, slots=True)
class Build:
    """A BitBake build folder that an ordinary user may write to."""

    folder: Path
    checkouts: Path

    @property
    def upstream(self) -> list[Path]:
        """The layers that come from elsewhere."""
        return [layer for name in PINNED for layer in layers_of(name, self.checkouts / name)]

    @property
    def layers(self) -> list[Path]:
        """All layers of kas.yml."""
        return [*self.upstream, *layers_of(OWN_REPOSITORY, ROOT)]

    def configure(self, layers: list[Path], local: str = "", *, distro: str | None = None) -> None:
        """Write the two files that kas would write.

        Args:
            layers: The layers, openembedded-core first.
            local: Further lines of local.conf.
            distro: Another distribution than that of kas.yml.
        """
        (self.folder / "conf").mkdir(parents=True, exist_ok=True)
        listed = " ".join(str(layer) for layer in layers)
        (self.folder / "conf/bblayers.conf").write_text(
            f'BBPATH = "${{TOPDIR}}"\nBBFILES ?= ""\nBBLAYERS = "{listed}"\n'
        )
        (self.folder / "conf/local.conf").write_text(
            f'DISTRO ?= "{distro or KAS["distro"]}"\nMACHINE ?= "{KAS["machine"]}"\n'
            f'BB_NO_NETWORK = "1"\nCONNECTIVITY_CHECK_URIS = ""\n{local}'
        )

    def bitbake(
        self, *args: str, seconds: float, tools: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run BitBake; ``tools`` come before the host's programs."""
        return self.run(["bitbake", *args], seconds=seconds, tools=tools)

    def run(
        self, command: list[str], *, seconds: float, tools: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of openembedded-core, dropping root first."""
        # BitBake insists on this locale, which a small host need not have.
        locale = self.folder / "locale/en_US.UTF-8"
        if not locale.exists():
            locale.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["localedef", "-i", "en_US", "-f", "UTF-8", locale], check=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", self.folder], check=True)
            drop = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            command = ["setpriv", *drop, *command]
        core = self.checkouts / "openembedded-core"
        own = [tools] if tools else []
        path = [*own, core / "scripts", self.checkouts / "bitbake/bin"]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": ":".join([*map(str, path), "/usr/sbin:/usr/bin:/sbin:/bin"]),
                "HOME": str(self.folder),
                "BBPATH": str(self.folder),
                "BUILDDIR": str(self.folder),
                "BITBAKEDIR": str(self.checkouts / "bitbake"),
                "LC_ALL": "C.UTF-8",
                "LOCPATH": str(self.folder / "locale"),
                "BB_ENV_PASSTHROUGH_ADDITIONS": "LOCPATH",
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )


def recipe_value(environment: str, name: str) -> str:
    """The final value of a variable in the output of ``bitbake -e``."""
    return next(
        line.split('"')[1] for line in environment.splitlines() if line.startswith(f'{name}="')
    )
