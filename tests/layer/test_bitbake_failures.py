# SPDX-License-Identifier: MIT
"""What goes wrong in a build is said in words, and the build fails."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.bitbake_project import CORE, Run, new_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bitbake

PAYLOAD: Final = b"what the server has\n"
EXPECTED: Final = hashlib.sha256(b"what was expected\n").hexdigest()
NO_NAME_SPACES: Final = ("unshare", "--user", "--map-root-user", "sh", "-c")
"""A shell in which the kernel refuses further user name spaces."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "payload").write_bytes(PAYLOAD)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_address[1]}/payload"
        finally:
            httpd.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory, server: str) -> Run:
    """One build in which each recipe fails in its own way; `-k` lets all of them try."""
    recipes = {
        "all": 'DEPENDS = "corrupt unnamed broken thrown"\n',
        "corrupt": f'SRC_URI = "{server};sha256sum={EXPECTED}"\n',
        "unnamed": f'SRC_URI = "{server};downloadfilename=unnamed"\n',
        "broken": "do_install() {\n    echo the cause of it >&2\n    exit 7\n}\n",
        "thrown": 'python do_install() {\n    raise ValueError("thrown by a task")\n}\n',
    }
    project = new_project(tmp_path_factory.mktemp("failures"), recipes)
    run = project.run("--continue")
    assert not project.components.is_dir() or not any(project.components.glob("all"))
    return run


def test_the_build_fails(failed: Run) -> None:
    assert failed.code == 2
    assert "Summary: 4 tasks failed:" in failed.output


def test_a_wrong_checksum_names_both(failed: Run) -> None:
    assert f"has sha256 checksum '{hashlib.sha256(PAYLOAD).hexdigest()}'" in failed.output
    assert f"when '{EXPECTED}' was expected" in failed.output


def test_a_missing_checksum_is_refused(failed: Run) -> None:
    assert "Missing SRC_URI checksum" in failed.output


def test_a_failing_task_shows_the_end_of_its_log(failed: Run) -> None:
    assert "the cause of it" in failed.output
    assert "broken_1.0.bb:do_install" in failed.output


def test_an_exception_in_a_task_is_shown(failed: Run) -> None:
    assert "thrown by a task" in failed.output


def test_a_parse_error_names_the_place(tmp_path: Path) -> None:
    project = new_project(tmp_path, {"all": "", "odd": "LICENSE = MIT\n"})
    run = project.run()
    assert run.code == 2
    assert "odd_1.0.bb:1" in run.output
    assert "unparsed line: 'LICENSE = MIT'" in run.output


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('BB_HASHSERVE = "auto"', "BB_HASHSERVE is set, but this BitBake comes from the"),
        ('PRSERV_HOST = "localhost:0"', "PRSERV_HOST is set, but this BitBake comes from the"),
    ],
)
def test_services_that_the_wheel_lacks_are_refused(
    tmp_path: Path, setting: str, sentence: str
) -> None:
    run = new_project(tmp_path, {"all": ""}).run(settings=setting)
    assert run.code == 2
    assert sentence in run.output
    assert run.finished == []


def test_a_task_that_cannot_be_cut_off_from_the_network_does_not_run(tmp_path: Path) -> None:
    limit = "echo 0 > /proc/sys/user/max_user_namespaces"
    run = new_project(tmp_path, {"all": ""}).run(
        prefix=(*NO_NAME_SPACES, f'{limit} && exec "$@"', "sh")
    )
    assert run.code == 2
    assert "the kernel allows no user name space" in run.output
    assert run.finished == ["all:do_fetch"]


@pytest.mark.parametrize("program", ["bitbake-server", "bitbake-worker"])
def test_inner_programs_say_that_they_are_not_for_people(program: str) -> None:
    result = subprocess.run(
        [sys.executable, str(CORE / "bin" / program), "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    assert "started by bitbake itself" in result.stderr
    assert "Traceback" not in result.stderr
