# SPDX-License-Identifier: MIT
"""What a build does when pinned Debian packages have left the mirror, through BitBake and apt."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from debian_lock.apt import Apt
from debian_lock.lock import load_lock, save_lock
from debian_lock.requests import read_requests

from tests.support.bitbake_project import Project, Run, new_project
from tests.support.debian_archive import serve_archive

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bitbake

PINNED: Final = {"library": "1.0-1", "tool": "1.0-1"}
NEWER: Final = {"library": "1.0-1", "tool": "1.1-1"}


@dataclass(frozen=True, slots=True)
class State:
    """What a run left of its packages: the unpacked tool, the outcome, the effective lock."""

    tool: str
    outcome: dict[str, Any]
    lock: str


@dataclass(frozen=True, slots=True)
class Story:
    """Runs with the pins at hand, then with one gone: strictly, and by default."""

    pinned: Run
    pinned_state: State
    strict: Run
    strict_state: State
    moved: Run
    moved_state: State
    source: str
    """The lock in the source tree, at the end."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("pins")
    locks = folder / "locks"
    locks.mkdir()
    (locks / "target.packages").write_text("library\ntool\n")
    recipe = 'LICENSE = "MIT"\nDEBIAN_SET = "target"\ninherit debian-packages\n'
    project = new_project(folder / "project", {"all": recipe})
    with serve_archive(folder) as archive:
        archive.publish(PINNED)
        apt = Apt(archive.sources, folder / "apt", archive.keyring)
        apt.update()
        save_lock(apt.resolve(read_requests(locks / "target.packages")), locks / "target.lock.json")
        settings = (
            f'DEBIAN_LOCKS = "{locks}"\nDEBIAN_SETS = "target"\n'
            f'DEBIAN_KEYRING = "{archive.keyring}"\nDEBIAN_SNAPSHOT = "{archive.url}/snapshot"\n'
        )
        pinned, pinned_state = project.run(settings=settings).passed(), state(project)
        archive.publish(NEWER)
        shutil.rmtree(project.build / "downloads")
        strict, strict_state = project.run(settings=settings + 'PINS = "strict"\n'), state(project)
        shutil.rmtree(project.build / "downloads")
        shutil.rmtree(project.build / "tmp")
        moved = project.run(settings=settings)
    source = (locks / "target.lock.json").read_text()
    return Story(pinned, pinned_state, strict, strict_state, moved, state(project), source)


def state(project: Project) -> State:
    pins = project.components / "debian-pins"
    return State(
        (project.components / "all/usr/share/tool").read_text().strip(),
        json.loads((pins / "outcome.json").read_text()),
        (pins / "target.lock.json").read_text(),
    )


def test_pins_that_can_be_had_are_built_from(story: Story) -> None:
    assert story.pinned_state.tool == PINNED["tool"]
    assert story.pinned_state.outcome == {"pinned": True, "gone": [], "moved": {}}
    assert story.pinned_state.lock == story.source


def test_strict_pins_fail_with_one_error_that_says_what_to_do(story: Story) -> None:
    assert story.strict.code == 2
    console = story.strict.output.partition('Command "')[0]
    errors = [line for line in console.splitlines() if "ERROR: debian-pins" in line]
    assert len(errors) == 1
    assert "PINS=strict, and these cannot be fetched: tool 1.0-1" in errors[0]
    assert "hint: unset PINS to go on with newer packages" in console
    assert "Traceback" not in console
    assert "WARNING" not in console


def test_strict_pins_change_nothing(story: Story) -> None:
    assert story.strict_state == story.pinned_state
    assert story.strict.finished == []


def test_by_default_the_build_goes_on_with_the_newer_package_and_says_so_loudly(
    story: Story,
) -> None:
    assert story.moved.code == 0, story.moved.output
    assert story.moved_state.tool == NEWER["tool"]
    warning = story.moved.output[story.moved.output.index("WARNING: debian-pins") :]
    assert "PINNED DEBIAN PACKAGES ARE GONE" in warning
    assert "THE MEASUREMENTS WILL DIFFER" in warning
    assert "Gone: tool 1.0-1" in warning
    assert "1.0-1" in warning
    assert "1.1-1" in warning
    assert story.moved.output.count("WARNING: ") == 1
    assert "ERROR: " not in story.moved.output


def test_the_outcome_and_the_effective_lock_say_what_was_built_from(
    story: Story, tmp_path: Path
) -> None:
    outcome = story.moved_state.outcome
    assert outcome["pinned"] is False
    assert outcome["gone"] == ["tool 1.0-1"]
    (move,) = outcome["moved"]["target"]
    assert (move["name"], move["old"], move["new"]) == ("tool", PINNED["tool"], NEWER["tool"])
    (tmp_path / "lock").write_text(story.moved_state.lock)
    effective = load_lock(tmp_path / "lock")
    assert {package.name: package.version for package in effective.packages} == NEWER


def test_the_source_tree_keeps_its_pins(story: Story) -> None:
    assert story.source == story.pinned_state.lock
