# SPDX-License-Identifier: MIT
"""BitBake from the wheel, with our launchers: what runs when, and in which surroundings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.bitbake_project import Project, Run, new_project

pytestmark = pytest.mark.bitbake

PARTS: Final = 24
THREADS: Final = 8
LONG_LINES: Final = 3000
"""Of a hundred bytes each: one event that is larger than every pipe and every read."""
STEPS: Final = ("do_fetch", "do_unpack", "do_install")

RECIPES: Final = {
    "all": 'DEPENDS = "shout bystander probe loud parts"\n',
    "text": """\
SRC_URI = "file://text.txt"
do_install() {
    cp ${UNPACKDIR}/text.txt ${COMPONENT}/
}
""",
    "shout": """\
DEPENDS = "text"
do_install() {
    tr a-z A-Z < ${COMPONENTS_DIR}/text/text.txt > ${COMPONENT}/loud.txt
}
""",
    "bystander": "",
    "probe": """\
python surroundings() {
    import json, os, socket
    umask = os.umask(0)
    os.umask(umask)
    found = {"environment": dict(os.environ), "umask": umask, "user": [os.getuid(), os.getgid()],
             "input": os.readlink("/proc/self/fd/0"), "network": os.readlink("/proc/self/ns/net"),
             "devices": socket.if_nameindex()}
    bb.utils.mkdirhier(d.getVar("WORKDIR"))
    with open(d.expand("${WORKDIR}/${BB_CURRENTTASK}.json"), "w") as file:
        json.dump(found, file)
}
do_fetch[postfuncs] += "surroundings"
do_unpack[postfuncs] += "surroundings"
do_unpack[umask] = "027"
do_install[postfuncs] += "surroundings"
""",
    "loud": f"""\
python do_install() {{
    bb.plain("\\n".join("long %099d" % number for number in range({LONG_LINES})))
    bb.plain("brackets </event><event> </exitcode> end")
}}
""",
    "parts": f"""\
python () {{
    for number in range({PARTS}):
        task = "do_part%d" % number
        d.setVar(task, "echo part > ${{WORKDIR}}/part%d\\n" % number)
        d.setVarFlag(task, "func", "1")
        bb.build.addtask(task, "do_install", "do_unpack", d)
}}
""",
}


@dataclass(frozen=True, slots=True)
class Story:
    """Four runs: from nothing, again, after an edit, and from nothing in another place."""

    project: Project
    first: Run
    second: Run
    edited: Run
    other: Project


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    project = _project(tmp_path_factory.mktemp("tasks"))
    caller = {"SECRET": "of the caller", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    first = project.run(settings=f'BB_NUMBER_THREADS = "{THREADS}"', variables=caller).passed()
    second = project.run().passed()
    other = _project(tmp_path_factory.mktemp("elsewhere") / "in/a/longer/path")
    other.run(settings='BB_NUMBER_THREADS = "1"').passed()
    project.write({"recipes/files/text.txt": "good evening\n"})
    return Story(project, first, second, project.run().passed(), other)


def _project(folder: Path) -> Project:
    recipes = {name: f'LICENSE = "MIT"\n{text}' for name, text in RECIPES.items()}
    return new_project(folder, recipes).write({"recipes/files/text.txt": "good morning\n"})


def surroundings(story: Story, task: str) -> dict[str, object]:
    found = json.loads((story.project.build / f"tmp/work/probe/{task}.json").read_text())
    assert isinstance(found, dict)
    return found


def test_tasks_run_in_order(story: Story) -> None:
    done = story.first.finished
    for recipe in RECIPES:
        steps = [f"{recipe}:{step}" for step in STEPS]
        assert [task for task in done if task in steps] == steps
    assert done.index("text:do_install") < done.index("shout:do_install")
    assert done[-1] == "all:do_build"


def test_a_second_run_does_nothing(story: Story) -> None:
    assert story.second.finished == []


def test_an_edit_runs_again_what_depends_on_it_and_nothing_else(story: Story) -> None:
    assert (story.project.components / "shout/loud.txt").read_text() == "GOOD EVENING\n"
    recipes = [name.partition(":")[0] for name in story.edited.finished]
    assert set(recipes) == {"text", "shout", "all"}
    assert "text:do_install" in story.edited.finished


def test_many_tasks_at_a_time_all_end(story: Story) -> None:
    parts = {name for name in story.first.finished if name.startswith("parts:do_part")}
    assert len(parts) == PARTS
    assert len(list((story.project.build / "tmp/work/parts").glob("part*"))) == PARTS


def test_large_events_arrive_whole(story: Story) -> None:
    lines = [line for line in story.first.output.splitlines() if " long 0" in line]
    assert [int(line.rpartition(" ")[2]) for line in lines] == list(range(LONG_LINES))


def test_events_may_hold_the_words_that_frame_them(story: Story) -> None:
    assert "brackets </event><event> </exitcode> end" in story.first.output


def test_only_a_task_with_network_has_the_hosts(story: Story) -> None:
    host = Path("/proc/self/ns/net").readlink()
    assert surroundings(story, "fetch")["network"] == str(host)
    for task in ("unpack", "install"):
        found = surroundings(story, task)
        assert found["network"] != str(host)
        assert [name for _, name in found["devices"]] == ["lo"]  # type: ignore[attr-defined]  # JSON


def test_a_task_keeps_the_callers_identity(story: Story) -> None:
    identities = [surroundings(story, task)["user"] for task in ("fetch", "install")]
    assert identities[0] == identities[1]


def test_a_tasks_umask_is_the_layers_or_its_own(story: Story) -> None:
    assert surroundings(story, "install")["umask"] == 0o022
    assert surroundings(story, "unpack")["umask"] == 0o027


def test_a_task_sees_only_the_layers_environment(story: Story) -> None:
    for task in ("fetch", "install"):
        environment = surroundings(story, task)["environment"]
        assert isinstance(environment, dict)
        assert "SECRET" not in environment
        assert environment["TZ"] == "UTC"
        assert environment["LC_ALL"] == "C.UTF-8"
        assert environment["HOME"] == str(story.project.build / "tmp/work/probe/home")
        assert surroundings(story, task)["input"] == "/dev/null"


def test_signatures_do_not_depend_on_the_place(story: Story) -> None:
    """Stamps are named by signature; the edit moved the first project's, so only the rest agree."""
    here, there = (
        {path.name for path in (place.build / "tmp/stamps").iterdir() if "sigdata" not in path.name}
        for place in (story.project, story.other)
    )
    moved = ("text-", "shout-", "all-")
    assert {name for name in here ^ there if not name.startswith(moved)} == set()
    assert len(here & there) > PARTS
