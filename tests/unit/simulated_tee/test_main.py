# SPDX-License-Identifier: MIT
"""The simulator's command line, as far as it mounts nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from buildernet.attestation.collateral import parse_collateral
from buildernet.attestation.verify import TrustAnchors, verify_quote
from tests.support.minted_chain import Domain
from tests.support.simulated_mount import MRTD
from tests.support.simulated_tee.__main__ import main
from tests.support.simulated_tee.chain import load_chain

if TYPE_CHECKING:
    from pathlib import Path

AT = 1_790_000_000


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["simulated-tee", *map(str, arguments)])
    return main()


def test_minted_chain_and_its_collateral_verify_its_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    chain, bundle = tmp_path / "chain", tmp_path / "bundle.json"
    chain.mkdir()
    assert run(monkeypatch, "mint", chain) == 0
    assert run(monkeypatch, "collateral", bundle, "--chain", chain, "--at", AT) == 0
    (collateral,) = parse_collateral(bundle.read_bytes())
    minted = load_chain(chain)
    assert minted.root.der != load_chain().root.der
    verify_quote(
        minted.quote(Domain()),
        collateral=collateral,
        at=AT,
        report_data=None,
        measurements=None,
        roots=TrustAnchors(roots=(minted.root.der,)),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mrtd", "00"], "Digest48 needs 48 bytes"),
        (["--mrtd", MRTD], "not crypto-agile|event log"),
        (["--mrtd", MRTD, "--chain", "/nonexistent"], "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
):
    log = tmp_path / "log"
    log.write_bytes(b"no log")
    assert run(monkeypatch, "mount", tmp_path, "--event-log", log, *options) == 1
    said = capsys.readouterr().err
    assert said.startswith("simulated-tee: ")
    assert said.count("\n") == 1
    assert any(part in said for part in message.split("|"))


@pytest.mark.parametrize(
    "options", [[], ["--mrtd", MRTD, "--firmware", "x"], ["--mrtd", MRTD, "--fault", "EODD"]]
)
def test_wrong_usage_is_refused(monkeypatch: pytest.MonkeyPatch, options: list[str]):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "mount", "/x", "--event-log", "/x", *options)
    assert caught.value.code == 2
