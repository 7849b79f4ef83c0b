"""Doubt: lost answers, silence, crashes in between. Zero or one order, and the books agree."""

import asyncio
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import PositionStatus, SlotStatus
from opensqt.core.orders import OrderStatus, Side
from opensqt.testing.scripted_venue import Fate
from services.execution.app import ExecutionApp
from tests.unit.execution.world import World, buy, cancel

FENCE_S = 3 + 1 + 2  # placing + clock skew + visibility


async def agree(world: World) -> None:
    """What every scenario must end in: books and exchange say the same, nothing twice."""
    grid = await world.grid()
    assert len(world.book.received) == len(set(world.book.received))
    assert grid.position == (await world.venue.position("BTCUSDT")).quantity
    live = {order.client_oid for order in grid.live_orders()}
    assert live == {order.client_oid for order in await world.venue.open_orders("BTCUSDT")}
    assert all(order.settled for order in grid.live_orders())


@pytest.mark.invariant(31)
@pytest.mark.parametrize("fate", [Fate.ANSWER_LOST, Fate.NEVER_ANSWERED])
async def test_an_order_whose_answer_is_lost_is_adopted(world: World, fate: Fate) -> None:
    async with world.running() as app:
        world.venue.fates.append(fate)
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(FENCE_S + 1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        await agree(world)
    assert len(world.book.received) == 1


@pytest.mark.invariant(33)
async def test_an_order_that_filled_unheard_is_counted_once(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.FILLED_UNHEARD)
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(1)
        slot = await world.slot(59900)
        assert (slot.status, slot.position_status) == (SlotStatus.FREE, PositionStatus.FILLED)
        await world.positions.apply(world.book.orders[order.client_oid])
        await agree(world)


@pytest.mark.invariant(32)
async def test_an_order_that_never_arrived_is_given_up_behind_the_fence_only(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.LOST)
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(FENCE_S - 0.1)
        assert (await world.slot(59900)).status is SlotStatus.PENDING
        await asyncio.sleep(0.2)
        slot = await world.slot(59900)
        assert (slot.status, slot.cycle) == (SlotStatus.FREE, 1)
        await asyncio.sleep(1)
        [again] = (await app.submit(await world.batch(buy(59900)))).to_place
        assert again.client_oid != order.client_oid
        await asyncio.sleep(1)
        await agree(world)


@pytest.mark.invariant(37)
async def test_a_request_that_arrives_late_is_found(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.LATE)
        world.venue.late_by_s = 2.9
        world.venue.out_of_sight_s = 1.9
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(FENCE_S + 1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        await agree(world)


@pytest.mark.invariant(37)
async def test_not_found_during_the_visibility_lag_proves_nothing(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.ANSWER_LOST)
        world.venue.out_of_sight_s = 1.9
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(1.8)
        assert len(world.venue.questions) > 1
        assert (await world.slot(59900)).status is SlotStatus.PENDING
        await asyncio.sleep(FENCE_S)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        await agree(world)


@pytest.mark.invariant(36)
async def test_a_duplicate_id_is_looked_up_and_adopted(world: World) -> None:
    """The first request was accepted, by a process of which nobody knows any more."""
    async with world.running() as app:
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.1)
    world.store.__init__()  # type: ignore[misc]  # the ledger is lost
    await world.register()
    async with world.running() as app:
        [again] = (await app.submit(await world.batch(buy(59900)))).to_place
        assert again.client_oid == order.client_oid
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
    assert world.book.received == [order.client_oid]


async def test_a_contradiction_is_left_alone_and_reported(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.ANSWER_LOST)
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.002)
        wrong = replace(world.book.orders[order.client_oid], side=Side.SELL)
        world.book.orders[order.client_oid] = wrong
        await asyncio.sleep(300)
        assert (await world.slot(59900)).status is SlotStatus.PENDING
        assert (await app.status()).unsettled == 1
    assert world.count("order_contradictions_total") > 3
    assert len(world.venue.questions) < 30
    assert world.book.orders[order.client_oid] is wrong


async def test_an_exchange_that_does_not_answer_is_asked_until_it_does(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.ANSWER_LOST)
        world.venue.answers = False
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(6 * 3600)
        assert (await world.slot(59900)).status is SlotStatus.PENDING
        asked = len(world.venue.questions)
        world.venue.answers = True
        await asyncio.sleep(65)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        await agree(world)
    assert 300 < asked < 500


async def test_an_order_that_shall_go_is_cancelled_once_it_shows(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.LATE)
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.1)
        await app.submit(await world.batch(cancel(order)))  # finds nothing to cancel yet
        await asyncio.sleep(FENCE_S)
        assert world.book.orders[order.client_oid].status is OrderStatus.CANCELED
        assert (await world.slot(59900)).status is SlotStatus.FREE
        await agree(world)


async def test_a_confirmed_order_that_vanishes_is_reported(world: World) -> None:
    async with world.running() as app:
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.1)
        del world.book.orders[order.client_oid]
        await app.submit(await world.batch(cancel(order)))
        await asyncio.sleep(20)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
    assert world.count("order_contradictions_total") > 1


async def kill(world: World, app: ExecutionApp, run: asyncio.Task[None]) -> None:
    """As a kill does: nothing is drained, nothing is recorded any more."""
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await asyncio.sleep(0)


@pytest.mark.invariant(1, 19, 20)
@pytest.mark.parametrize("latency_s", [0.001, 0.01, 0.02])
@pytest.mark.parametrize("killed_after_s", [0, 0.0005, 0.0015, 0.005, 0.011, 0.015, 0.03])
async def test_a_kill_at_any_moment_leaves_zero_or_one_order(
    world: World, latency_s: float, killed_after_s: float
) -> None:
    world.venue.latency_s = latency_s
    app = world.app()
    run = asyncio.create_task(app.run(asyncio.Event()))
    await app.started()
    await world.beat()
    await asyncio.sleep(0.01)
    batch = await world.batch(buy(59900), buy(59800))
    submitted = asyncio.create_task(app.submit(batch))
    await asyncio.sleep(killed_after_s)
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(run, submitted, *tasks, return_exceptions=True)

    async with world.running() as restarted:
        # The strategy decides again, on what it last saw.
        await asyncio.gather(restarted.submit(batch), return_exceptions=True)
        await asyncio.sleep(FENCE_S + 6)
        await agree(world)
        assert (await restarted.status()).unsettled == 0


@pytest.mark.invariant(19)
async def test_what_was_left_is_handed_over_before_the_first_batch(world: World) -> None:
    deadline_ns = world.clock.now_ns() + 3 * 10**9
    await world.positions.reserve(await world.batch(buy(59900)), deadline_ns=deadline_ns)
    app, stop = world.app(), asyncio.Event()
    world.positions.answers = False
    async with asyncio.TaskGroup() as group:
        group.create_task(app.run(stop))
        await asyncio.sleep(5)
        with pytest.raises(Exception, match="not handed over yet"):
            await app.submit(await world.batch(buy(59800)))
        world.positions.answers = True
        await app.started()
        assert (await app.status()).tasks_pending == 1
        await asyncio.sleep(FENCE_S)
        assert (await app.status()).tasks_pending == 0
        assert (await world.slot(59900)).status is SlotStatus.FREE
        stop.set()


async def test_a_cancel_that_was_committed_and_never_sent_is_sent_at_the_next_start(
    world: World,
) -> None:
    async with world.running() as app:
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.1)
    await world.positions.reserve(await world.batch(cancel(order)), deadline_ns=0)
    async with world.running():
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.FREE
    assert world.book.orders[order.client_oid].status is OrderStatus.CANCELED


@pytest.mark.invariant(26)
async def test_the_reaper_finds_what_a_task_of_that_id_did_not_finish(world: World) -> None:
    """Such as the batch of an older ledger, whose revisions count from zero again."""
    async with world.running() as app:
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(1)
        world.store.__init__()  # type: ignore[misc]
        world.book.orders.clear()
        await world.register()
        world.venue.fates.append(Fate.LOST)
        await app.submit(await world.batch(buy(59800)))
        await asyncio.sleep(FENCE_S + 10)
        assert (await world.slot(59800)).status is SlotStatus.FREE
    assert world.count("orders_reaped_total") >= 1


async def test_orders_in_flight_are_left_alone(world: World) -> None:
    world.venue.latency_s = 4
    async with world.running() as app:
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(3.9)
        assert not world.venue.questions
        assert (await app.status()).in_flight == 1
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        assert not world.venue.questions


async def test_partly_filled_orders_keep_what_they_filled(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.ANSWER_LOST)
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.002)
        partly = replace(
            world.book.orders[order.client_oid],
            status=OrderStatus.CANCELED,
            filled_quantity=D("0.004"),
            average_price=D(59900),
        )
        world.book.orders[order.client_oid] = partly
        await asyncio.sleep(1)
        slot = await world.slot(59900)
        assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.004"))
        await agree(world)
