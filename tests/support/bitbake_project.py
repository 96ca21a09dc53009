# SPDX-License-Identifier: MIT
"""A project of a few small recipes on top of debian-core, built by kas and BitBake as ours is."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
CORE: Final = ROOT / "layers/debian-core"
# A run of these recipes takes three seconds; a machine that is busy otherwise takes ten times that.
RUN_SECONDS: Final = 60.0

_KAS: Final = f"""\
header: {{version: 20}}
build_system: openembedded
distro: sample
machine: amd64
target: all
repos:
  sample:
    path: sample
    layers: {{.: }}
  debian-core:
    path: {CORE}
    layers: {{.: }}
"""
_LAYER: Final = """\
BBPATH .= ":${LAYERDIR}"
BBFILES += "${LAYERDIR}/recipes/*.bb"
BBFILE_COLLECTIONS += "sample"
BBFILE_PATTERN_sample = "^${LAYERDIR}/"
LAYERDEPENDS_sample = "core"
LAYERSERIES_COMPAT_sample = "trixie"
"""
_FINISHED: Final = re.compile(r"NOTE: recipe (\S+)-1\.0: task (\w+): Succeeded")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of kas gave."""

    code: int
    output: str

    @property
    def finished(self) -> list[str]:
        """The tasks that were executed and succeeded, as ``recipe:task``, in order."""
        return [f"{recipe}:{task}" for recipe, task in _FINISHED.findall(self.output)]

    def passed(self) -> Run:
        """This run.

        Raises:
            AssertionError: It failed, or warned of something.
        """
        assert self.code == 0, self.output
        assert "WARNING" not in self.output, self.output
        return self


@dataclass(frozen=True, slots=True)
class Project:
    """One project in a folder of its own."""

    folder: Path

    @property
    def build(self) -> Path:
        """BitBake's folder."""
        return self.folder / "build"

    @property
    def components(self) -> Path:
        """What the recipes made."""
        return self.build / "tmp/components"

    def write(self, files: Mapping[str, str]) -> Project:
        """Write files of the sample layer, by their paths in it."""
        for name, text in files.items():
            path = self.folder / "sample" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self

    def command(self, *arguments: str, settings: str = "") -> list[str]:
        """The kas command that builds everything, with further lines of configuration.

        Args:
            arguments: For BitBake.
            settings: Lines of configuration.
        """
        configuration = self.folder / "kas.yml"
        lines = "".join(f"    {line}\n" for line in settings.splitlines())
        extra = f"local_conf_header:\n  settings: |\n{lines}" if lines else ""
        configuration.write_text(_KAS + extra)
        kas = str(ROOT / ".venv/bin/kas")
        return [kas, "build", str(configuration), *(("--", *arguments) if arguments else ())]

    def environment(self, variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """The environment of a run: nothing of the caller's."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "KAS_WORK_DIR": str(self.folder),
            "KAS_BUILD_DIR": str(self.build),
            **variables,
        }

    def run(
        self,
        *arguments: str,
        settings: str = "",
        variables: Mapping[str, str] = MappingProxyType({}),
        prefix: Sequence[str] = (),
    ) -> Run:
        """Build everything.

        Args:
            arguments: For BitBake.
            settings: Further lines of configuration.
            variables: Further environment variables of the caller.
            prefix: Command that starts the build in other surroundings.
        """
        result = subprocess.run(
            [*prefix, *self.command(*arguments, settings=settings)],
            cwd=self.folder,
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Run(result.returncode, result.stdout)


def new_project(folder: Path, recipes: Mapping[str, str]) -> Project:
    """A project with recipes by name; the one called ``all`` is its default target."""
    named = {f"recipes/{name}_1.0.bb": text for name, text in recipes.items()}
    layer = {"conf/layer.conf": _LAYER, "conf/distro/sample.conf": 'DISTRO_NAME = "sample"\n'}
    (folder / "sample").mkdir(parents=True)
    return Project(folder).write({**layer, **named})
