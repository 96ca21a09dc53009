# SPDX-License-Identifier: MIT
import subprocess
import sys
from pathlib import Path

import pytest

from buildernet.node import cli

_SOURCES = Path(__file__).parents[3] / "services/src"
_PORTS = Path(__file__).parents[3] / "services/config/ports.toml"


def test_firewall_prints_the_ruleset(capsys):
    assert cli.main(["firewall", str(_PORTS), "--variant", "development"]) == 0
    assert "dport 40192 accept" in capsys.readouterr().out
    assert cli.main(["firewall", str(_PORTS)]) == 0
    assert "40192" not in capsys.readouterr().out


def test_a_missing_list_is_a_configuration_error(capsys, tmp_path):
    assert cli.main(["firewall", str(tmp_path / "none")]) == 2
    assert "none: No such file" in capsys.readouterr().err


def test_event_without_system_api_fails_with_a_hint(capsys, tmp_path):
    assert cli.main(["event", "hello", "--pipe-file", str(tmp_path / "none")]) == 1
    assert "hint: is system-api.service running?" in capsys.readouterr().err


def test_measured_boot_without_a_tpm_succeeds(capsys, tmp_path):
    arguments = ["measured-boot", "--sysfs", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert "measured-boot: note: no TPM" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["measured-boot", "--sysfs", "/none", "--out", "{}"], ["firewall", str(_PORTS)]]
)
def test_only_the_standard_library_is_imported(arguments, tmp_path):
    """A bare interpreter runs it: the build host's at build time, a slow one early in the boot."""
    arguments = [argument.format(tmp_path) for argument in arguments]
    code = (
        "import sys; from buildernet.node import cli; code = cli.main(sys.argv[1:]);"
        "heavy = {'aiohttp', 'asyncio', 'uvloop', 'prometheus_client'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else code)"
    )
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path[:0] = [{str(_SOURCES)!r}]; {code}",
            *arguments,
        ],
        check=True,
        timeout=30,
        stdout=subprocess.DEVNULL,
    )
