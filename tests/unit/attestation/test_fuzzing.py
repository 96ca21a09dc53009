# SPDX-License-Identifier: MIT
"""Long, coverage-guided fuzzing of every parser: only our errors come out."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60
START_SECONDS = 240
PARSERS = [
    "quote", "verification", "collateral", "signed-answer", "tcb-info", "qe-identity",
    "pck-extension", "chain", "measurements", "event-log", "tpm-quote", "tpm-signature",
    "hcl-report", "azure-evidence", "azure-document", "client-hello", "frame",
    "document", "authorities",
]  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + START_SECONDS)]


def fuzz(target: str, corpus: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "tests.support.fuzzing", target, str(corpus),
        f"-max_total_time={SECONDS}", "-max_len=16384", "-timeout=10", "-rss_limit_mb=2048",
        f"-artifact_prefix={corpus}/",
    ]  # fmt: skip
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS + START_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("target", PARSERS)
def test_only_our_errors_come_out(target: str, tmp_path: Path) -> None:
    done = fuzz(target, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "INITED" in done.stdout


def test_the_harness_finds_what_is_wrong(tmp_path: Path) -> None:
    done = fuzz("control", tmp_path)
    assert done.returncode != 0
    assert "KeyError" in done.stdout
