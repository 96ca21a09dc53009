# SPDX-License-Identifier: MIT
import pytest

from buildernet.base.command import run
from buildernet.base.errors import BuildernetError, ConfigError


def _raise(error: BaseException):
    def body() -> None:
        raise error

    return body


def test_success_is_zero_and_a_returned_code_is_kept(capsys):
    assert run(lambda: None, program="x") == 0
    assert run(lambda: 3, program="x") == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [(BuildernetError("broken"), 1), (ConfigError("wrong"), 2), (KeyboardInterrupt(), 130)],
)
def test_each_error_has_its_exit_code(error, code):
    assert run(_raise(error), program="x") == code


def test_the_user_sees_cause_and_hint_but_no_traceback(capsys):
    run(_raise(BuildernetError("no disk", hint="attach one")), program="tool")
    assert capsys.readouterr().err == "tool: error: no disk\n  hint: attach one\n"


def test_debug_shows_the_traceback(capsys):
    run(_raise(BuildernetError("no disk")), program="tool", debug=True)
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(_raise(ZeroDivisionError()), program="tool")
