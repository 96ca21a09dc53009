# SPDX-License-Identifier: MIT
"""All commands take `--debug` in the same way, and their help names values."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPTS: Final[dict[str, str]] = tomllib.loads((ROOT / "services/pyproject.toml").read_text())[
    "project"
]["scripts"]
ABSENT: Final = "/nowhere/absent"
FAILING: Final = {
    "archive": ["query", "--token-file", ABSENT],
    "attested-get": ["https://127.0.0.1:1", "--collateral", ABSENT],
    "attested-proxy": ["server", "--config", ABSENT],
    "attested-verify": ["--quote", ABSENT],
    "builder-hub": ["serve", "--config", ABSENT],
    "buildernet-measure": ["mrtd", ABSENT],
    "buildernet-node": ["registration", "--config", ABSENT],
    "get-measurements": ["https://127.0.0.1:1", "--collateral", ABSENT],
    "orderflow-proxy": ["receiver", "--config", ABSENT],
    "system-api": ["--config", ABSENT],
}
"""A call of each that ends with an error of ours, before anything is opened."""


def main_of(name: str) -> Callable[[Sequence[str]], int]:
    module, _, function = SCRIPTS[name].partition(":")
    main: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    return main


def test_every_command_is_here() -> None:
    assert set(FAILING) == set(SCRIPTS)


@pytest.mark.usefixtures("_root_logger")
@pytest.mark.parametrize("name", FAILING)
def test_debug_may_stand_anywhere(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, main = FAILING[name], main_of(name)
    for place in (0, 1, len(words)):
        assert main([*words[:place], "--debug", *words[place:]]) in (1, 2)
        assert "Traceback" in capsys.readouterr().err, place
    assert main(words) in (1, 2)
    said = capsys.readouterr().err
    assert f"{name}: error: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", FAILING)
def test_help_shows_values_and_no_objects(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verb = [word for word in FAILING[name][:1] if word.isalpha()]
    for words in (["--help"], [*verb, "--help"]):
        with pytest.raises(SystemExit) as caught:
            main_of(name)(words)
        assert caught.value.code == 0
        assert not re.search(r"<[A-Z]\w+\.|object at 0x", capsys.readouterr().out)
