"""Numbers 19 to 30: a process dies at the worst moment.

What needs the real NATS, PostgreSQL and DBOS to be shown is in tests/integration.
"""

import asyncio
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import SlotStatus
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.ports import ACTIONS, GRID_CHANGES
from opensqt.runtime.crash_points import CrashPoint
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_bus import MemoryBus
from tests.scenarios.venue import ACCOUNT
from tests.scenarios.world import FENCE_S, World, buy, cancel


@pytest.mark.invariant(19)
async def test_execution_dies_between_the_intent_and_the_sending(world: World) -> None:
    async with world.crash_at(CrashPoint.PLACING_AFTER_INTENT):
        await world.decide(buy(59900), buy(59800))
    assert [order.status for order in await world.orders()] == [OrderStatus.PENDING] * 2
    await asyncio.sleep(FENCE_S + 6)
    assert {(o.status, o.end_reason) for o in await world.orders()} == {
        (OrderStatus.NOT_PLACED, EndReason.NEVER_ARRIVED)
    }
    assert not world.venue.sent
    await world.agree()


@pytest.mark.invariant(20)
async def test_execution_dies_between_the_answer_and_its_record(world: World) -> None:
    await world.kill("market_data")  # what the stream tells would help
    async with world.crash_at(CrashPoint.PLACING_BEFORE_RESULT):
        await world.decide(buy(59900))
    await asyncio.sleep(2)
    assert (await world.slot(59900)).status is SlotStatus.LOCKED
    assert len(world.on_exchange()) == 1
    await world.agree()


@pytest.mark.invariant(20)
async def test_execution_dies_before_a_cancel_is_sent_or_its_answer_recorded(world: World) -> None:
    orders = await world.rest(59900, 59800)
    await world.kill("market_data")
    points = (CrashPoint.CANCELING_BEFORE_SEND, CrashPoint.CANCELING_BEFORE_RESULT)
    for order, point in zip(orders, points, strict=True):
        async with world.crash_at(point):
            await world.decide(cancel(order))
        await asyncio.sleep(6)
        assert (await world.slot(int(order.price))).status is SlotStatus.FREE
    await world.agree()


@pytest.mark.invariant(21)
@pytest.mark.parametrize(
    "point", [CrashPoint.PUBLISHING_BEFORE_SEND, CrashPoint.PUBLISHING_BEFORE_MARK]
)
async def test_the_state_dies_between_the_commit_and_its_publication(
    world: World, point: CrashPoint
) -> None:
    async with world.crash_at(point):
        await world.decide(buy(59900))
    await asyncio.sleep(5)
    revision = (await world.book()).revision
    async with world.bus.subscribe(GRID_CHANGES, durable="a reader") as changes:
        seen = [(await anext(changes)).event.revision for _ in range(revision)]
    assert seen == list(range(1, revision + 1))
    await world.agree()


@pytest.mark.invariant(21)
@pytest.mark.parametrize("point", [CrashPoint.TELLING_BEFORE_STORE, CrashPoint.TELLING_AFTER_STORE])
async def test_market_data_dies_while_it_tells_of_a_fill(world: World, point: CrashPoint) -> None:
    await world.rest(59900)
    async with world.crash_at(point):
        world.venue.fill(59900)
    await asyncio.sleep(6)
    assert (await world.slot(59900)).position_qty == D("0.010")
    await world.agree()


@pytest.mark.invariant(22)
@pytest.mark.parametrize(
    "point",
    [
        CrashPoint.APPLYING_BEFORE_COMMIT,
        CrashPoint.APPLYING_AFTER_COMMIT,
        CrashPoint.APPLYING_BEFORE_ACK,
    ],
)
async def test_the_state_dies_while_it_applies_a_fill(world: World, point: CrashPoint) -> None:
    await world.rest(59900)
    async with world.crash_at(point):
        world.venue.fill(59900, "0.006")
        await asyncio.sleep(0.1)
        await world.kill("market_data")  # nobody tells it again but the bus
    await asyncio.sleep(10)
    book = await world.book()
    assert (book.position, book.totals.fills) == (D("0.006"), 1)
    await world.agree()


@pytest.mark.invariant(25)
async def test_two_executions_hear_the_same_decision(world: World) -> None:
    world.apps["second"] = world._execution(Metrics())
    world.processes.begin("second", world.apps["second"].run(asyncio.Event()))
    await asyncio.sleep(1.5)
    for number in range(10):
        await world.decide(buy(59900 - 100 * number))
        await asyncio.sleep(0.2)
    executors = (world.apps["execution"], world.apps["second"])
    batches = [(await executor.status()).batches for executor in executors]
    assert sum(batches) == 10
    assert len(world.venue.sent) == 10
    await world.agree()


@pytest.mark.invariant(25)
async def test_two_executions_settle_the_same_doubt(world: World) -> None:
    await world.kill("market_data")
    async with world.crash_at(CrashPoint.PLACING_BEFORE_RESULT):
        await world.decide(buy(59900))
        world.apps["second"] = world._execution(Metrics())
        world.processes.begin("second", world.apps["second"].run(asyncio.Event()))
    await asyncio.sleep(FENCE_S + 6)
    assert (await world.slot(59900)).status is SlotStatus.LOCKED
    await world.agree()


@pytest.mark.invariant(28)
@pytest.mark.parametrize(
    "point", [CrashPoint.APPLYING_BEFORE_COMMIT, CrashPoint.APPLYING_AFTER_COMMIT]
)
async def test_the_state_dies_while_it_commits_an_intent(world: World, point: CrashPoint) -> None:
    async with world.crash_at(point):
        batch = await world.decide(buy(59900), buy(59800))
    for _ in range(3):  # what was decided without effect is decided again
        await world.bus.publish(ACTIONS, ACCOUNT, batch)
        await asyncio.sleep(0.2)
    committed = point is CrashPoint.APPLYING_AFTER_COMMIT
    assert len(await world.orders()) == 2
    # Nobody knows whether the first request was sent, so it counts as if it was.
    assert len(world.venue.sent) == (0 if committed else 2)
    await asyncio.sleep(20)  # until the reaper finds what nobody sees to
    expected = SlotStatus.FREE if committed else SlotStatus.LOCKED
    assert (await world.slot(59900)).status is expected
    await world.agree()


@pytest.mark.invariant(30)
async def test_the_volume_of_the_bus_is_lost(world: World) -> None:
    orders = await world.rest(59900, 59800, 59700)
    await world.kill("state")
    world.venue.fill(59900)
    await asyncio.sleep(1)  # told to the bus, and read by nobody
    for part in ("market_data", "execution", "risk"):
        await world.kill(part)
    world.venue.fill(59800, "0.006")  # told to nobody
    await world.venue.cancel(orders[2])
    world.bus = MemoryBus()
    for part in ("state", "risk", "market_data", "execution"):
        await world.start(part)
    await asyncio.sleep(6)
    book = await world.book()
    assert book.slots[D(59900)].position_qty == D("0.010")
    assert book.slots[D(59800)].position_qty == D("0.006")
    await world.agree()
