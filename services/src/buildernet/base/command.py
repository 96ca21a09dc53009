# SPDX-License-Identifier: MIT
"""How a command begins and ends: `--debug` anywhere; one line for the user, one exit code.

Every `cli.py` reads its words with `parse` and hands its work to `run`; nothing else in the tree
turns an error into an exit code.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from buildernet.base.errors import EXIT_INTERRUPTED, EXIT_OK, BuildernetError

_DEBUG: Final = "--debug"


def parse(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    *,
    rewrite: Callable[[Sequence[str]], Sequence[str]] = list,
) -> argparse.Namespace:
    """Read a command line; `--debug` may stand before a verb, behind it, or at the end.

    Args:
        parser: Of the command; it names `--debug` where its help should.
        argv: The words after the command's name; None takes this process's.
        rewrite: Changes the words first, `--debug` left out.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != _DEBUG] + words[end:]
    arguments = parser.parse_args(rewrite(kept))
    arguments.debug = len(kept) < len(words) or getattr(arguments, "debug", False)
    return arguments


def run(body: Callable[[], int | None], *, program: str, debug: bool = False) -> int:
    """Run a command's work and report its failure as cause and hint.

    Args:
        body: The work. What it returns is the exit code; None means 0.
        program: Name of the command, put in front of the message.
        debug: Show the traceback as well. An error that is not ours always shows it: it is a bug.

    Returns:
        The exit code: see `buildernet.base.errors`.
    """
    try:
        return body() or EXIT_OK
    except BuildernetError as error:
        if debug:
            sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.write(f"{program}: error: {error}\n")
        if error.hint:
            sys.stderr.write(f"  hint: {error.hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return EXIT_INTERRUPTED
