"""Readiness is the sum of the pings."""

import asyncio

from opensqt.runtime.health import Readiness


class Dependency:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False

    async def ping(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


async def test_not_ready_until_checked() -> None:
    readiness = Readiness()
    heard: list[bool] = []

    async def listener() -> None:
        heard.append(readiness.ready)

    await readiness.listen(listener)
    assert not readiness.ready
    assert await readiness.check()
    assert heard == [False, True]


async def test_every_dependency_counts() -> None:
    readiness = Readiness(timeout_s=0.02)
    nats, postgres = Dependency(), Dependency()
    readiness.add("nats", nats.ping)
    readiness.add("postgresql", postgres.ping)
    assert await readiness.check()
    nats.error = ConnectionError("refused")
    postgres.hangs = True
    assert not await readiness.check()
    assert readiness.problems == {
        "nats": "ConnectionError: refused",
        "postgresql": "no answer within 0.02 s",
    }
    nats.error, postgres.hangs = None, False
    assert await readiness.check()


async def test_listeners_hear_changes_only() -> None:
    readiness = Readiness(interval_s=0.001)
    dependency = Dependency()
    readiness.add("it", dependency.ping)
    heard: list[bool] = []

    async def listener() -> None:
        heard.append(readiness.ready)

    await readiness.listen(listener)
    watch = asyncio.create_task(readiness.watch())
    await asyncio.sleep(0.02)
    dependency.error = ConnectionError()
    await asyncio.sleep(0.02)
    await readiness.drain()
    dependency.error = None
    await asyncio.sleep(0.02)
    watch.cancel()
    assert heard == [False, True, False]
    assert readiness.problems == {"process": "draining"}
