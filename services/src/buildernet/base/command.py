# SPDX-License-Identifier: MIT
"""How a command ends: one line for the user, one exit code for the shell.

Every `cli.py` hands its work to `run`; nothing else in the tree turns an error into an exit code.
"""

import sys
from collections.abc import Callable

from buildernet.base.errors import EXIT_INTERRUPTED, EXIT_OK, BuildernetError


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
