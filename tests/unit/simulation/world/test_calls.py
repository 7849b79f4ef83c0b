"""Calls to a process that dies, stalls or loses its answers; watches that break."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from opensqt.ports import DependencyError
from simulation.calls import Caller, Server
from simulation.network import Network
from simulation.plan import Fault, FaultKind, Link
from tests.unit.simulation.world.alone import alone, process, the_loop

LOST = Fault(kind=FaultKind.LOSE_ANSWERS, at_ms=0, link=Link.CALLS)


class Target:
    def __init__(self) -> None:
        self.done = 0
        self.told = 0

    async def work(self) -> int:
        await asyncio.sleep(0.1)
        self.done += 1
        return self.done

    async def watch(self) -> AsyncIterator[int]:
        while True:
            await asyncio.sleep(0.5)
            self.told += 1
            yield self.told


class Line:
    """A server with one caller."""

    def __init__(self) -> None:
        self.network = Network(the_loop(), random.Random(2))
        self.target = Target()
        self.state, self.client = process("state"), process("client")
        self.server = Server("state")
        self.server.process, self.server.target = self.state, self.target
        self.heard: list[int] = []
        self.caller = Caller(self.client, self.server, self.network, random.Random(5))

    async def work(self) -> int:
        return await self.caller.call("work", lambda target: target.work())

    async def follow(self) -> None:
        async for number in self.caller.stream("watch", lambda target: target.watch()):
            self.heard.append(number)


@alone
async def test_a_call_runs_in_the_process_of_its_callee() -> None:
    line = Line()
    assert await line.work() == 1
    line.state.stall()
    with pytest.raises(DependencyError, match="in time"):
        await line.work()
    assert line.target.done == 1


@alone
async def test_a_callee_that_dies_is_noticed_at_once() -> None:
    line = Line()
    started_s = the_loop().now_s
    the_loop().world.later(0.05, line.state.kill)
    with pytest.raises(DependencyError, match="died"):
        await line.work()
    with pytest.raises(DependencyError, match="cannot be reached"):
        await line.work()
    assert the_loop().now_s - started_s < 0.5
    assert line.target.done == 0


@alone
async def test_a_lost_answer_leaves_the_work_done() -> None:
    line = Line()
    line.network.begin(LOST)
    with pytest.raises(DependencyError):
        await line.work()
    assert line.target.done == 1


@alone
async def test_what_may_be_repeated_is_repeated() -> None:
    line = Line()
    line.network.begin(LOST)
    with pytest.raises(DependencyError):
        await line.caller.repeated("work", lambda target: target.work())
    assert line.target.done == 3


@alone
async def test_what_the_callee_should_not_raise_is_told() -> None:
    line = Line()
    problems: list[str] = []
    line.caller.on_internal = lambda _, name, error: problems.append(f"{name}: {error!r}")

    async def fail(_: Target) -> int:
        raise KeyError("x")

    with pytest.raises(DependencyError, match="internal"):
        await line.caller.call("fail", fail)
    assert problems == ["fail: KeyError('x')"]


@alone
async def test_a_watch_ends_with_its_server() -> None:
    line = Line()
    the_loop().world.later(1.2, line.state.kill)
    with pytest.raises(DependencyError, match="died"):
        await line.follow()
    assert line.heard == [1, 2]


@alone
async def test_a_watch_that_falls_silent_is_given_up() -> None:
    line = Line()
    the_loop().world.later(1.2, line.state.stall)
    with pytest.raises(DependencyError, match="silent"):
        await line.follow()
    assert 6 < the_loop().now_s < 7


@alone
async def test_the_server_stops_telling_a_watcher_that_died() -> None:
    line = Line()
    line.client.spawn(line.follow())
    await asyncio.sleep(2)
    line.client.kill()
    await asyncio.sleep(0.1)
    told = line.target.told
    await asyncio.sleep(5)
    assert line.target.told == told
