# SPDX-License-Identifier: MIT
"""``python -m installer`` with openembedded-core's option for the interpreter of scripts."""

from __future__ import annotations

import argparse
import sysconfig

import installer.scripts
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from installer.utils import get_launcher_kind

# openembedded-core patches the same: "/usr/bin/env python3" as it is, not by way of a shell.
installer.scripts._build_shebang = lambda executable, **_launcher: b"#!" + executable.encode()

options = argparse.ArgumentParser()
for name in ("--compile-bytecode", "--interpreter", "--prefix", "--destdir"):
    options.add_argument(name)
options.add_argument("wheel")
given = options.parse_args()
base = dict.fromkeys(("base", "platbase", "installed_base"), given.prefix)
scheme = sysconfig.get_paths(vars=base)
destination = SchemeDictionaryDestination(
    {**scheme, "headers": scheme["include"]},
    interpreter=given.interpreter,
    script_kind=get_launcher_kind(),
    destdir=given.destdir,
)
with WheelFile.open(given.wheel) as wheel:
    install(wheel, destination, additional_metadata={})
