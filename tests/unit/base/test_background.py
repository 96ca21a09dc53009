# SPDX-License-Identifier: MIT
"""Work beside the requests: its death is the owner's, and the error arrives bare."""

import asyncio

import pytest

from buildernet.base.background import keeping
from buildernet.base.errors import BuildernetError, ConfigError


async def fail(error: BaseException) -> None:
    raise error


async def test_the_death_of_a_job_ends_the_context_with_its_error():
    with pytest.raises(BuildernetError, match="disk"):
        async with keeping([asyncio.sleep(60), fail(BuildernetError("disk"))]):
            await asyncio.sleep(60)


async def test_an_error_inside_leaves_bare_through_several_contexts():
    """A listen address that is taken printed seventy lines of groups."""
    with pytest.raises(ConfigError) as caught:
        async with keeping([asyncio.sleep(60)]), keeping([asyncio.sleep(60)]):
            raise ConfigError("taken")
    assert caught.value.__suppress_context__


async def test_a_group_within_a_job_is_unwrapped_too():
    async def nested() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(ConfigError("deep")))

    with pytest.raises(ConfigError, match="deep"):
        async with keeping([nested()]):
            await asyncio.sleep(60)


async def test_of_two_errors_the_defect_is_raised_and_the_other_said(caplog):
    with pytest.raises(RuntimeError, match="defect"):
        async with keeping([fail(ConfigError("known")), fail(RuntimeError("defect"))]):
            await asyncio.sleep(60)
    assert "failed_too reason=ConfigError: known" in caplog.text


async def test_jobs_are_cancelled_or_asked_to_end():
    ended: list[str] = []

    async def work(until: asyncio.Event) -> None:
        try:
            await until.wait()
            ended.append("asked")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    event = asyncio.Event()
    async with keeping([work(asyncio.Event())]):
        await asyncio.sleep(0)
    async with keeping([work(event)], stop=event.set):
        await asyncio.sleep(0)
    assert ended == ["cancelled", "asked"]
