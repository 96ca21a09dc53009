# SPDX-License-Identifier: MIT
import argparse

import pytest

from buildernet.base.command import parse, run
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


@pytest.mark.parametrize(
    ("words", "debug", "message"),
    [
        (["say", "hello"], False, "hello"),
        (["--debug", "say", "hello"], True, "hello"),
        (["say", "--debug", "hello"], True, "hello"),
        (["say", "hello", "--debug"], True, "hello"),
        (["say", "--", "--debug"], False, "--debug"),
        (["--debug", "say", "--", "--debug"], True, "--debug"),
    ],
)
def test_debug_is_taken_anywhere_before_two_dashes(words, debug, message):
    parser = argparse.ArgumentParser()
    parser.add_argument("--debug", action="store_true")
    parser.add_subparsers().add_parser("say").add_argument("message")
    found = parse(parser, words)
    assert (found.debug, found.message) == (debug, message)


def test_words_are_rewritten_without_debug():
    seen = []

    def rewrite(words):
        seen.extend(words)
        return []

    assert parse(argparse.ArgumentParser(), ["a", "--debug"], rewrite=rewrite).debug
    assert seen == ["a"]
