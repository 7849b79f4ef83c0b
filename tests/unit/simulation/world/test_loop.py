"""Processes on the simulation's loop: turns, stalls, and deaths that run no ``finally``."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from opensqt.testing.virtual_time import START_NS, NothingScheduledError
from simulation.loop import Process, ProcessDiedError, SimulationLoop
from simulation.quiet import quiet
from tests.unit.simulation.world.alone import alone, the_loop
from tests.unit.simulation.world.alone import process as new_process


async def count(name: str, seen: list[str], turns: int) -> None:
    for number in range(turns):
        seen.append(f"{name}{number}")
        await asyncio.sleep(0)


def interleaved(seed: int) -> list[str]:
    """The turns of two processes that have always something to do."""
    seen: list[str] = []
    loop = SimulationLoop(random.Random(seed))

    async def main() -> None:
        tasks = [Process(loop, name).spawn(count(name, seen, 20)) for name in "ab"]
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    loop.close()
    return seen


def test_chance_decides_between_processes_and_order_holds_within_each() -> None:
    first, second = interleaved(1), interleaved(2)
    assert first != second
    assert first == interleaved(1)
    for seen in (first, second):
        assert [turn for turn in seen if turn[0] == "a"] == [f"a{n}" for n in range(20)]


@alone
async def test_what_a_process_begins_belongs_to_it() -> None:
    process = new_process()
    done: list[str] = []

    async def child() -> None:
        await asyncio.sleep(1)
        done.append("child")

    async def parent() -> None:
        asyncio.get_running_loop().call_later(1, done.append, "timer")
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    process.spawn(parent())
    await asyncio.sleep(0.5)
    process.kill()
    await asyncio.sleep(5)
    assert done == []


@alone
async def test_the_dead_run_no_finally() -> None:
    process = new_process()
    cleaned: list[str] = []

    async def hold() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            cleaned.append("cleaned")

    task = process.spawn(hold())
    await asyncio.sleep(1)
    process.kill()
    task.cancel()
    await asyncio.sleep(20)
    assert not cleaned
    assert not task.done()


@alone
async def test_a_process_dies_between_two_of_its_steps() -> None:
    process = new_process()
    seen: list[str] = []
    process.dies_in = 5
    process.spawn(count("p", seen, 20))
    await asyncio.sleep(1)
    assert not process.alive
    assert seen == ["p0", "p1", "p2", "p3", "p4"]


@alone
async def test_a_step_can_be_the_last() -> None:
    process = new_process()
    seen: list[str] = []

    async def die() -> None:
        process.kill()
        try:
            process.check()
        except Exception:  # the broadest net that services cast
            seen.append("swallowed")
        seen.append("went on")

    process.spawn(die())
    await asyncio.sleep(1)
    assert not seen
    with pytest.raises(ProcessDiedError):
        process.check()


@alone
async def test_whoever_watches_a_process_notices_its_death() -> None:
    process = new_process()
    noticed: list[str] = []
    process.on_death(lambda: noticed.append("first"))
    forget = process.on_death(lambda: noticed.append("second"))
    forget()
    process.kill()
    process.kill()
    assert noticed == ["first"]


@alone
async def test_a_stalled_process_does_everything_later() -> None:
    loop, process = the_loop(), new_process()
    times: list[float] = []

    async def tick() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            times.append(loop.now_s)

    process.spawn(tick())
    await asyncio.sleep(0.5)
    process.stall()
    await asyncio.sleep(10)
    assert not times
    process.wake()
    await asyncio.sleep(5)
    assert times == [10.5, 11.5, 12.5]


@alone
async def test_each_process_has_its_clock() -> None:
    process = new_process()
    await asyncio.sleep(2)
    process.clock_offset_ns = -500
    assert process.now_ns() == START_NS + 2 * 10**9 - 500


def test_time_only_passes_when_nobody_has_anything_to_do() -> None:
    loop = SimulationLoop(random.Random(1))

    async def wait() -> float:
        timer = loop.call_later(5, lambda: None)
        timer.cancel()
        assert timer.cancelled()
        await asyncio.sleep(3)
        return loop.time()

    assert loop.run_until_complete(wait()) == 3.0
    with pytest.raises(NothingScheduledError):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_what_the_dead_leave_is_collected_after_the_run_and_has_no_effect() -> None:
    effects: list[str] = []
    others: list[BaseException] = []

    async def hold(process: Process) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            process.check()
            effects.append("an effect")

    async def main(loop: SimulationLoop) -> None:
        process = Process(loop, "p")
        process.spawn(hold(process))
        await asyncio.sleep(1)
        process.kill()

    def run(work: Coroutine[Any, Any, None], loop: SimulationLoop) -> None:
        try:
            loop.run_until_complete(work)
        except BaseException as error:
            others.append(error)
        finally:
            loop.close()

    with quiet(1):
        loop = SimulationLoop(random.Random(1))
        run(main(loop), loop)
        del loop
    assert not effects
    assert not others
