"""The reaper behind a settlement that does not do its work."""

import asyncio
from collections.abc import Collection
from typing import Self

import pytest

from opensqt.core.grid.book import SlotStatus
from opensqt.ports import DependencyError
from opensqt.testing.scripted_venue import Fate
from services.execution.settlement import Round, SettleTask
from tests.unit.execution.world import World, buy, cancel


class IdleSettlement:
    """Takes tasks, or refuses them, and never does a round."""

    def __init__(self, work: Round, *, refuses: bool) -> None:
        self._refuses = refuses
        self._tasks: dict[str, SettleTask] = {}

    async def see_to(self, task: SettleTask) -> bool:
        if self._refuses:
            raise DependencyError("its database is away")
        self._tasks[task.task_id] = task
        return True

    def running(self) -> Collection[SettleTask]:
        return tuple(self._tasks.values())

    async def pending(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return


@pytest.mark.invariant(18)
@pytest.mark.parametrize(("refuses", "within_s"), [(True, 20), (False, 45)])
async def test_orders_are_settled_although_the_settlement_is_not_working(
    world: World, *, refuses: bool, within_s: float
) -> None:
    world.settlement = lambda work: IdleSettlement(work, refuses=refuses)
    async with world.running() as app:
        world.venue.fates += [Fate.ANSWER_LOST, Fate.LOST]
        await app.submit(await world.batch(buy(59900), buy(59800)))
        await asyncio.sleep(within_s)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        assert (await world.slot(59800)).status is SlotStatus.FREE
        assert world.count("orders_unsettled") == 0
        order = (await world.slot(59900)).order
        assert order is not None
        world.venue.fates.clear()
        await world.positions.reserve(await world.batch(cancel(order)), deadline_ns=0)
        await asyncio.sleep(within_s)
        assert (await world.slot(59900)).status is SlotStatus.FREE
    assert len(world.book.received) == 1


async def test_a_scan_that_fails_is_followed_by_the_next(world: World) -> None:
    async with world.running():
        world.positions.answers = False
        await asyncio.sleep(60)
        world.positions.answers = True
        deadline_ns = world.clock.now_ns() + 3 * 10**9
        await world.positions.reserve(await world.batch(buy(59900)), deadline_ns=deadline_ns)
        await asyncio.sleep(20)
        assert (await world.slot(59900)).status is SlotStatus.FREE
