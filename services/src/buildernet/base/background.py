# SPDX-License-Identifier: MIT
"""Work that goes on beside a service's requests: when it dies, so does the service, with a reason.

A task made by hand dies unseen, and the service goes on without what it did. A task group ends its
owner, but by an exception group, which a command shows as a traceback instead of one line.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from buildernet.base.errors import BuildernetError

_log = logging.getLogger(__name__)


@asynccontextmanager
async def keeping(
    # Any: what a coroutine yields to the loop and is sent is nobody's business here.
    jobs: Iterable[Coroutine[Any, Any, None]],
    *,
    stop: Callable[[], None] | None = None,
) -> AsyncIterator[None]:
    """Run jobs while the context is open; the error of one ends the context and leaves it bare.

    Args:
        jobs: They run until cancelled, or until `stop`.
        stop: Asks them to end, and they are waited for; without it they are cancelled.
    """
    with bare_errors():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
            try:
                yield
            finally:
                if stop is not None:
                    stop()
                else:
                    for task in tasks:
                        task.cancel()


@contextmanager
def bare_errors() -> Iterator[None]:
    """Raise the error inside an exception group, however deep, instead of the group.

    Of several, the first that is no `BuildernetError` is raised, as a defect of ours; the others
    are logged.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        cause = next((e for e in errors if not isinstance(e, BuildernetError)), errors[0])
        for other in errors:
            if other is not cause:
                _log.error("failed_too reason=%s: %s", type(other).__name__, other)
        raise cause from cause.__cause__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
