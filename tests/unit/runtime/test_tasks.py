"""Background tasks: nothing dies silently."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from opensqt.runtime.tasks import BackgroundTasks, TaskEndedError


async def fails() -> None:
    await asyncio.sleep(0)
    raise RuntimeError("broken")


async def ends() -> None:
    await asyncio.sleep(0)


async def lasts() -> None:
    await asyncio.Event().wait()


async def cancels_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("work", "may_end", "crash"),
    [
        (fails, False, RuntimeError),
        (fails, True, RuntimeError),
        (ends, False, TaskEndedError),
        (ends, True, None),
        (cancels_itself, False, TaskEndedError),
        (lasts, False, None),
    ],
)
async def test_a_crash_is_reported(
    work: Callable[[], Coroutine[Any, Any, None]], *, may_end: bool, crash: type[Exception] | None
) -> None:
    crashes: list[BaseException] = []
    async with BackgroundTasks(on_crash=crashes.append) as tasks:
        task = tasks.start("work", work(), may_end=may_end)
        await asyncio.sleep(0.01)
    assert [type(error) for error in crashes] == ([crash] if crash else [])
    assert task.done()


async def test_leaving_waits_for_the_tasks() -> None:
    closed = asyncio.Event()

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            closed.set()

    async with BackgroundTasks(on_crash=pytest.fail) as tasks:
        tasks.start("tidy", tidy())
        await asyncio.sleep(0)
    assert closed.is_set()


async def test_a_failure_while_closing_is_reported_too() -> None:
    crashes: list[BaseException] = []

    async def untidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("broken")

    async with BackgroundTasks(on_crash=crashes.append) as tasks:
        tasks.start("untidy", untidy())
        await asyncio.sleep(0)
    assert [str(error) for error in crashes] == ["broken"]
