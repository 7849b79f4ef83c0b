"""From a batch to the exchange: admitted, committed, sent once, recorded."""

import asyncio
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import SlotStatus
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.ports import ACTIONS, CancelOutcome, DependencyError
from opensqt.testing.scripted_venue import Fate
from services.execution.config import RateLimitConfig, TimingConfig
from tests.unit.execution.world import World, buy, cancel, sell


async def filled_slot(world: World, price: int) -> None:
    """Leave a position in a slot."""
    async with world.running() as app:
        reservation = await app.submit(await world.batch(buy(price)))
        await asyncio.sleep(0.1)
    oid = reservation.to_place[0].client_oid
    await world.positions.apply(world.venue.fill(oid))


async def test_a_batch_is_committed_sent_and_recorded(world: World) -> None:
    async with world.running() as app:
        reservation = await app.submit(await world.batch(buy(59900), buy(59800)))
        assert [o.status for o in reservation.to_place] == [OrderStatus.PENDING] * 2
        await asyncio.sleep(0.1)
        assert {o.status for o in await world.orders()} == {OrderStatus.NEW}
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        status = await app.status()
    assert sorted(world.book.received) == sorted(o.client_oid for o in reservation.to_place)
    assert (status.in_flight, status.unsettled, status.batches, status.orders_sent) == (0, 0, 1, 2)
    assert status.gate_open


async def test_a_batch_over_the_bus_takes_the_same_way(world: World) -> None:
    async with world.running():
        await world.bus.publish(ACTIONS, "main", await world.batch(buy(59900)))
        await asyncio.sleep(0.1)
        assert len(world.book.received) == 1


async def test_a_batch_of_another_account_is_not_heard(world: World) -> None:
    async with world.running():
        await world.bus.publish(ACTIONS, "other", await world.batch(buy(59900)))
        await asyncio.sleep(0.1)
    assert not world.book.received


async def test_answers_that_come_together_are_recorded_together(world: World) -> None:
    async with world.running() as app:
        await app.submit(await world.batch(*(buy(59900 - 100 * n) for n in range(8))))
        await asyncio.sleep(0.1)
    assert world.positions.calls.count("record") == 1


@pytest.mark.invariant(1)
async def test_a_batch_that_comes_twice_at_once_is_sent_once(world: World) -> None:
    async with world.running() as app:
        batch = await world.batch(buy(59900), buy(59800))
        answers = await asyncio.gather(app.submit(batch), app.submit(batch))
        await asyncio.sleep(1)
        again = await app.submit(batch)
    assert sorted(answer.repeated for answer in answers) == [False, True]
    assert again.repeated
    assert len(world.book.received) == len(set(world.book.received)) == 2


@pytest.mark.invariant(1, 19)
async def test_a_repeated_reservation_is_not_sent_even_if_nobody_sent_it(world: World) -> None:
    batch = await world.batch(buy(59900))
    deadline_ns = world.clock.now_ns() + 3 * 10**9
    await world.positions.reserve(batch, deadline_ns=deadline_ns)  # by a process that is gone
    async with world.running() as app:
        assert (await app.submit(batch)).repeated
        await asyncio.sleep(1)
        assert not world.book.received
        await asyncio.sleep(10)
        assert not world.book.received
        [order] = await world.orders()
        assert (order.status, order.end_reason) == (
            OrderStatus.NOT_PLACED,
            EndReason.NEVER_ARRIVED,
        )


@pytest.mark.invariant(17)
async def test_a_closed_gate_stops_openings_and_nothing_else(world: World) -> None:
    await filled_slot(world, 59900)
    async with world.running() as app:
        resting = (await app.submit(await world.batch(buy(59700)))).to_place[0]
        await asyncio.sleep(0.1)
        await world.beat(revision=2, is_open=False)
        with pytest.raises(Refusal) as refused:
            await app.submit(await world.batch(buy(59800)))
        assert refused.value.reason is RefusalReason.GATE_CLOSED
        assert "tripped by hand" in refused.value.value

        mixed = await world.batch(buy(59800), sell(59900), cancel(resting))
        reservation = await app.submit(mixed)
        await asyncio.sleep(0.1)
        assert [o.slot_price for o in reservation.to_place] == [D(59900)]
        assert [o.client_oid for o in reservation.to_cancel] == [resting.client_oid]
        assert (await world.slot(59700)).status is SlotStatus.FREE
        assert not (await app.status()).gate_open
    assert world.count("batch_actions_left_out_total", reason="GATE_CLOSED") == 1


@pytest.mark.invariant(17)
async def test_a_gate_that_is_not_heard_counts_as_closed(world: World) -> None:
    app, stop = world.app(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(app.run(stop))
        await app.started()
        with pytest.raises(Refusal, match="GATE_CLOSED"):
            await app.submit(await world.batch(buy(59900)))
        await world.beat()
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(6)
        with pytest.raises(Refusal, match="GATE_CLOSED"):
            await app.submit(await world.batch(buy(59800)))
        stop.set()


@pytest.mark.invariant(12)
async def test_nothing_is_opened_on_a_stale_price(world: World) -> None:
    await filled_slot(world, 59900)
    async with world.running() as app:
        batch = await world.batch(buy(59800), sell(59900))
        stale = replace(batch, price_time_ns=world.clock.now_ns() - 2_100_000_000)
        with pytest.raises(Refusal) as refused:
            await app.submit(replace(stale, actions=stale.actions[:1]))
        assert refused.value.reason is RefusalReason.PRICE_STALE
        assert refused.value.value == "2.100 s old"
        reservation = await app.submit(stale)
        assert [o.slot_price for o in reservation.to_place] == [D(59900)]


@pytest.mark.invariant(13)
@pytest.mark.parametrize(
    ("place", "rule"),
    [
        (buy(59900, "0.0105"), "step"),
        (buy(59900, "0.0005"), "step"),
        (buy(59900, "101"), "outside"),
        (replace(buy(59900), price=D("59900.05")), "tick"),
        (replace(buy(59900), quantity=D("-0.001")), "outside"),
    ],
)
async def test_what_the_exchange_would_refuse_is_not_committed(
    world: World, place: object, rule: str
) -> None:
    async with world.running() as app:
        batch = await world.batch(place)  # type: ignore[arg-type]
        with pytest.raises(Refusal, match=rule) as refused:
            await app.submit(batch)
        assert refused.value.reason is RefusalReason.INSTRUMENT_RULE
    assert not await world.orders()


async def test_an_unknown_bot_and_an_empty_batch_are_refused(world: World) -> None:
    async with world.running() as app:
        batch = await world.batch(buy(59900))
        with pytest.raises(Refusal, match="BOT_UNKNOWN"):
            await app.submit(replace(batch, bot_id="beta"))
        with pytest.raises(Refusal, match="FIELD_MISSING"):
            await app.submit(replace(batch, actions=()))


async def test_a_bot_that_registers_later_is_known(world: World) -> None:
    async with world.running() as app:
        await world.register("beta")
        await app.submit(await world.batch(buy(59900), bot_id="beta"))
        await asyncio.sleep(0.1)
    assert len(world.book.received) == 1


async def test_a_decision_that_was_overtaken_is_refused(world: World) -> None:
    async with world.running() as app:
        old = await world.batch(buy(59900))
        await app.submit(await world.batch(buy(59800)))
        with pytest.raises(Refusal, match="STALE_REVISION"):
            await app.submit(replace(old, state_revision=old.state_revision + 5))


@pytest.mark.invariant(1, 28)
async def test_a_lost_answer_to_the_commit_sends_nothing(world: World) -> None:
    async with world.running() as app:
        world.positions.lose_answers_of.add("reserve")
        with pytest.raises(DependencyError):
            await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.PENDING
        await asyncio.sleep(15)  # deadline, fence, the reaper's round
        assert (await world.slot(59900)).status is SlotStatus.FREE
        assert (await world.slot(59900)).cycle == 1
    assert not world.book.received


async def test_a_commit_that_took_too_long_is_not_sent(world: World) -> None:
    async with world.running(timing=TimingConfig(placing_ms=100)) as app:
        reserve = world.positions.reserve

        async def slow(batch: object, *, deadline_ns: int) -> object:
            reservation = await reserve(batch, deadline_ns=deadline_ns)  # type: ignore[arg-type]
            await asyncio.sleep(0.2)
            return reservation

        world.positions.reserve = slow  # type: ignore[assignment,method-assign]
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(0.1)
        [order] = await world.orders()
    assert order.status is OrderStatus.NOT_PLACED
    assert not world.book.received


async def test_a_rejected_order_frees_its_slot(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.REJECTED)
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(0.1)
        slot = await world.slot(59900)
    assert (slot.status, slot.cycle, slot.rejections) == (SlotStatus.FREE, 1, 1)
    assert world.count("placements_total", status="REJECTED", reason="INSUFFICIENT_MARGIN") == 1


async def test_results_are_recorded_once_the_state_answers_again(world: World) -> None:
    async with world.running() as app:
        await app.submit(await world.batch(buy(59900)))
        world.positions.answers = False
        await asyncio.sleep(0.2)
        world.positions.answers = True
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
    assert not world.venue.questions


@pytest.mark.invariant(20)
async def test_results_that_are_never_recorded_are_settled_by_asking(world: World) -> None:
    async with world.running() as app:
        await app.submit(await world.batch(buy(59900)))
        world.positions.answers = False
        await asyncio.sleep(3)
        world.positions.answers = True
        await asyncio.sleep(2)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
    assert len(world.book.received) == 1


@pytest.mark.invariant(40)
async def test_a_cancel_that_finds_a_filled_order_applies_the_fill(world: World) -> None:
    async with world.running() as app:
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.1)
        world.venue.fill(order.client_oid)
        await app.submit(await world.batch(cancel(order)))
        await asyncio.sleep(0.1)
        slot = await world.slot(59900)
    assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.010"))


@pytest.mark.invariant(39)
@pytest.mark.parametrize("answer", [CancelOutcome.UNKNOWN, CancelOutcome.REFUSED])
async def test_a_cancel_that_is_not_proven_keeps_the_slot_until_it_is(
    world: World, answer: CancelOutcome
) -> None:
    async with world.running() as app:
        [order] = (await app.submit(await world.batch(buy(59900)))).to_place
        await asyncio.sleep(0.1)
        world.venue.cancel_answers.append(answer)
        world.venue.answers = False
        await app.submit(await world.batch(cancel(order)))
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
        assert (await app.status()).unsettled == 1
        world.venue.answers = True
        await asyncio.sleep(2)
        assert (await world.slot(59900)).status is SlotStatus.FREE
        assert (await app.status()).unsettled == 0
    assert world.venue.cancels == [order.client_oid] * 2


@pytest.mark.invariant(54)
async def test_a_spent_budget_leaves_openings_out_and_exits_in(world: World) -> None:
    await filled_slot(world, 59900)
    limits = RateLimitConfig(orders_per_10s=50, orders_per_minute=1000)
    async with world.running(limits=limits) as app:
        many = [buy(59800 - 100 * n) for n in range(20)]
        reservation = await app.submit(await world.batch(*many, sell(59900)))
        await asyncio.sleep(0.1)
        placed = [o.slot_price for o in reservation.to_place]
        # a fifth of the openings' 80% at once, nearest first; the exit has its own
        assert placed == [D(59800 - 100 * n) for n in range(8)] + [D(59900)]
        with pytest.raises(Refusal, match="OVERLOADED"):
            await app.submit(await world.batch(buy(59000)))
        await asyncio.sleep(2)
        await app.submit(await world.batch(buy(59000)))


async def test_a_rate_limit_answer_pauses_openings_longer_each_time(world: World) -> None:
    async with world.running() as app:
        for round_number, pause_s in enumerate((1, 2, 4)):
            world.venue.fates.append(Fate.RATE_LIMITED)
            await app.submit(await world.batch(buy(59900 - 100 * round_number)))
            await asyncio.sleep(0.01)
            assert pause_s - 0.1 < app.budget.openings_pause_s <= pause_s
            with pytest.raises(Refusal, match="OVERLOADED"):
                await app.submit(await world.batch(buy(59500)))
            await asyncio.sleep(pause_s)
        await app.submit(await world.batch(buy(59500)))
        await asyncio.sleep(0.1)
        world.venue.fates.append(Fate.RATE_LIMITED)
        await app.submit(await world.batch(buy(59400)))
        await asyncio.sleep(0.01)
        assert app.budget.openings_pause_s <= 1


async def test_a_drain_takes_nothing_more_and_records_what_is_under_way(world: World) -> None:
    world.venue.latency_s = 2
    stop = asyncio.Event()
    app = world.app()
    async with asyncio.TaskGroup() as group:
        run = group.create_task(app.run(stop))
        await app.started()
        await world.beat()
        batch = await world.batch(buy(59900))
        await app.submit(batch)
        await asyncio.sleep(0.01)
        stop.set()
        await asyncio.sleep(0.01)
        with pytest.raises(Refusal, match="DRAINING"):
            await app.submit(await world.batch(buy(59800)))
        assert not run.done()
    assert (await world.slot(59900)).status is SlotStatus.LOCKED


async def test_a_drain_does_not_wait_for_ever(world: World) -> None:
    world.venue.fates.append(Fate.NEVER_ANSWERED)
    async with world.running(timing=TimingConfig(answer_ms=600_000)) as app:
        await app.submit(await world.batch(buy(59900)))
        await asyncio.sleep(0.1)
        started_ns = world.clock.now_ns()
    assert world.clock.now_ns() - started_ns < 11 * 10**9
    async with world.running():
        await asyncio.sleep(1)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED


async def test_too_many_batches_at_once_are_refused(world: World) -> None:
    world.venue.latency_s = 3
    limits = RateLimitConfig(
        orders_per_10s=100_000, orders_per_minute=100_000, weight_per_minute=100_000
    )
    async with world.running(limits=limits) as app:
        for number in range(256):
            await app.submit(await world.batch(buy(59900 - 100 * number)))
        with pytest.raises(Refusal, match="OVERLOADED"):
            await app.submit(await world.batch(buy(100)))


@pytest.mark.invariant(54)
async def test_while_the_exchange_wants_silence_nothing_is_committed(world: World) -> None:
    await filled_slot(world, 59900)
    async with world.running() as app:
        world.venue.held_until_ns = world.clock.now_ns() + 120 * 10**9
        with pytest.raises(Refusal, match="OVERLOADED"):
            await app.submit(await world.batch(buy(59800), sell(59900)))
        await asyncio.sleep(120)
        await app.submit(await world.batch(buy(59800), sell(59900)))


async def test_settling_waits_until_the_exchange_takes_questions(world: World) -> None:
    async with world.running() as app:
        world.venue.fates.append(Fate.ANSWER_LOST)
        await app.submit(await world.batch(buy(59900)))
        world.venue.held_until_ns = world.clock.now_ns() + 120 * 10**9
        await asyncio.sleep(110)
        assert not world.venue.questions
        await asyncio.sleep(15)
        assert (await world.slot(59900)).status is SlotStatus.LOCKED
