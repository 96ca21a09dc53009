# SPDX-License-Identifier: MIT
"""A build that is stopped leaves nothing running, and the next one goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from tests.support.bitbake_project import RUN_SECONDS, Project, new_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.bitbake

POLL_SECONDS: Final = 0.1
# Exit codes that kas promises.
FAILED: Final = 2
INTERRUPTED: Final = 130
MARK: Final = "SAMPLE_BUILD"
"""Variable in the environment of everything that a task starts."""
# A task that ends by itself only long after every deadline, and has a child that does the same.
ENDLESS: Final = f"""\
export {MARK} = "${{TOPDIR}}"
do_install() {{
    sleep 1000 &
    touch ${{WORKDIR}}/started
    sleep 1000
}}
"""


def processes(project: Project) -> list[psutil.Process]:
    """What runs for a project: its servers and workers by folder, its tasks' children by mark."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK) == str(project.build)
            if marked or process.cwd().startswith(str(project.folder)):
                found.append(process)
        except psutil.Error:  # it has ended meanwhile
            continue
    return [process for process in found if process.pid != os.getpid()]


def wait_until(what: str, holds: Callable[[], bool], project: Project) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {RUN_SECONDS:g} s; running: {processes(project)}")
        time.sleep(POLL_SECONDS)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = new_project(tmp_path, {"all": ENDLESS})
    yield project
    for process in processes(project):
        process.kill()


@pytest.fixture
def kas(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    """A build whose task has started, and what that has started."""
    with (
        (project.folder / "log").open("wb") as log,
        subprocess.Popen(
            project.command(),
            cwd=project.folder,
            env=project.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as kas,
    ):
        started = project.build / "tmp/work/all/started"
        wait_until("the task starts", started.exists, project)
        assert len([process for process in processes(project) if process.name() == "sleep"]) == 2
        yield kas
        kas.kill()


@pytest.mark.parametrize("signaller", [os.killpg, os.kill], ids=["Ctrl-C", "SIGTERM"])
def test_a_stopped_build_leaves_nothing_behind(
    project: Project, kas: subprocess.Popen[bytes], signaller: Callable[[int, int], None]
) -> None:
    signaller(kas.pid, signal.SIGINT if signaller is os.killpg else signal.SIGTERM)
    wait_until("kas ends", lambda: kas.poll() is not None, project)
    assert kas.returncode == INTERRUPTED
    wait_until("everything ends", lambda: not processes(project), project)


def test_tasks_end_with_their_worker(project: Project, kas: subprocess.Popen[bytes]) -> None:
    (worker,) = (p for p in processes(project) if p.children() and is_worker(p))
    worker.kill()
    wait_until("kas ends", lambda: kas.poll() is not None, project)
    assert kas.returncode == FAILED
    assert "exited unexpectedly" in (project.folder / "log").read_text()
    wait_until("everything ends", lambda: not processes(project), project)


def is_worker(process: psutil.Process) -> bool:
    """Whether this is a worker, and not one of the tasks that it has forked."""
    parent = process.parent()
    command = any(part.endswith("/bitbake-worker") for part in process.cmdline())
    return command and parent is not None and "bitbake-server" in " ".join(parent.cmdline())
