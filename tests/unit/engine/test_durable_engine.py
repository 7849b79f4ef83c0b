"""The loop of one bot: when it decides, on what, and what becomes of what gets lost."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from decimal import Decimal as D
from functools import wraps
from typing import Any

import pytest

from opensqt.core.bot_status import ROOM, Phase
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Candle
from opensqt.core.grid.book import GridChange, GridIdentity
from opensqt.core.grid.config import AtrSpacing
from opensqt.core.grid.results import PlacementResult
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import EndReason, OrderStatus, Purpose
from opensqt.engine.book_watch import SILENCE_MAX_S
from opensqt.ports import ACTIONS, Checkpoint, DependencyError, WatchEvent
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.virtual_time import run_virtually
from tests.unit.engine.world import BOT, World

WINDOW = ["OPEN BUY 1000", "OPEN BUY 980", "OPEN BUY 990"]
"""What a long grid of three levels wants at 1005."""


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time."""

    @wraps(test)
    def run(*args: Any, **options: Any) -> None:
        run_virtually(test(*args, **options))

    return run


async def settle(seconds: float = 0.6) -> None:
    await asyncio.sleep(seconds)


@virtually
async def test_it_fills_its_window_and_then_has_nothing_to_do() -> None:
    world = World()
    async with world.running():
        await settle()
        assert await world.resting() == WINDOW
        decided = len(world.batches)
        await settle(5)
        assert len(world.batches) == decided
        assert world.engine.status().phase is Phase.TRADING
        assert world.engine.status().waiting_for == ()


@pytest.mark.parametrize(
    ("silent", "waits_for"),
    [("price", ("state", "price")), ("stream", ("order stream",))],
)
@virtually
async def test_it_does_not_trade_before_it_has_all_that_it_needs(
    silent: str, waits_for: tuple[str, ...]
) -> None:
    world = World()
    world.beating.remove(silent)
    async with world.running():
        await settle(5)
        assert world.batches == []
        assert world.engine.status().phase is Phase.STARTING
        assert world.engine.status().waiting_for == waits_for
        world.beating.add(silent)
        await settle(1)
        assert await world.resting() == WINDOW


@pytest.mark.invariant(46)
@virtually
async def test_an_unverified_stream_is_not_a_verified_one() -> None:
    world = World()
    world.verified = False
    async with world.running():
        await settle(3)
        assert world.batches == []
        world.verified = True
        await settle(1)
        assert await world.resting() == WINDOW


@virtually
async def test_without_a_beat_of_the_gate_it_opens_nothing() -> None:
    world = World()
    world.beating.remove("gate")
    async with world.running():
        await settle(3)
        assert world.opened() == 0
        assert world.engine.status().waiting_for == ("risk gate",)
        assert world.engine.status().phase is Phase.REDUCING


@pytest.mark.parametrize(
    ("silent", "bound_s", "grace_s"),
    [("gate", 5, 10), ("stream", 5, 10), ("price", 2, 58)],
)
@virtually
async def test_a_silence_stops_openings_at_once_and_withdraws_them_later_but_closes_go_on(
    silent: str, bound_s: int, grace_s: int
) -> None:
    world = World()
    async with world.running():
        await settle()
        world.beating.remove(silent)
        await settle(bound_s + 1)
        orders = (await world.book()).live_orders()
        await world.fill(next(order for order in orders if order.price == 1000))
        await settle(1.5)
        assert await world.resting() == ["CLOSE SELL 1010", "OPEN BUY 980", "OPEN BUY 990"]
        assert world.opened() == 3
        assert world.engine.status().phase is Phase.REDUCING
        await settle(grace_s)
        assert await world.resting() == ["CLOSE SELL 1010"]
        world.beating.add(silent)
        await settle(2)
        assert await world.resting() == ["CLOSE SELL 1010", "OPEN BUY 980", "OPEN BUY 990"]
        assert not world.refusals


@pytest.mark.invariant(46)
@virtually
async def test_it_does_nothing_before_its_grid_was_compared_with_the_exchange() -> None:
    world = World()
    world.positions.confirms = False
    async with world.running():
        await settle(3)
        assert world.batches == []
        assert world.engine.status().phase is Phase.STARTING
        assert world.engine.status().waiting_for == ("reconciliation",)
        epoch = (await world.book()).identity.epoch
        await world.positions.confirm_grid("btc", epoch=epoch)
        await settle(1)
        assert await world.resting() == WINDOW


@pytest.mark.parametrize("silent", ["", "stream"])
@pytest.mark.invariant(17)
@virtually
async def test_a_halted_grid_withdraws_openings_at_once_and_closes(silent: str) -> None:
    """Even while something else that it relies on has just fallen silent."""
    world = World()
    async with world.running():
        await settle()
        orders = (await world.book()).live_orders()
        await world.fill(next(order for order in orders if order.price == 1000))
        await settle()
        if silent:
            world.beating.remove(silent)
            await settle(6)
        await world.positions.halt_grid("btc", reason="liquidated", by="ops")
        await settle(1)
        assert await world.resting() == ["CLOSE SELL 1010"]
        status = world.engine.status()
        assert status.phase is Phase.REDUCING
        assert status.waiting_for[0] == "halted: liquidated (ops)"
        assert not world.refusals


@virtually
async def test_another_ledger_s_revisions_are_not_taken_for_those_of_the_one_it_knew() -> None:
    """The ledger was lost while the watch was down, and its successor is ahead of what we knew."""
    world = World()
    async with world.running():
        await settle()
        world.positions.answers = False
        world.positions.break_watches("btc")
        lost, revision = await world.book(), world.engine.status().state_revision
        identity = replace(lost.identity, epoch=lost.identity.epoch + 1)
        world.positions.replace_store(store := MemoryStore())
        world.store = store
        await store.register(identity, now_ns=1)
        for _ in range(revision):
            await store.transact("btc", lambda book: SlotManager(book).halt("x", now_ns=1))
            await store.transact("btc", lambda book: SlotManager(book).resume(now_ns=1))
        world.positions.answers = True
        await settle(6)
        book = await world.book()
        assert world.engine.status().state_revision == book.revision
        assert all(batch.epoch == identity.epoch for batch in world.batches[-1:])
        assert not [r for r in world.refusals if r.reason is RefusalReason.STALE_REVISION]


@pytest.mark.invariant(17)
@virtually
async def test_a_closed_gate_withdraws_openings_at_once() -> None:
    world = World()
    async with world.running():
        await settle()
        world.gate = replace(world.gate, revision=2, open=False, reason="news")
        world.hear_gate()
        await settle(0.3)
        assert await world.resting() == []
        assert world.cancels() == 3


@virtually
async def test_holding_still_it_closes_only_where_there_is_room() -> None:
    world = World(replace(BOT, grid=replace(BOT.grid, max_open_orders=3)))
    async with world.running():
        await settle()
        assert await world.resting() == WINDOW
        world.beating.remove("stream")
        await settle(6)
        orders = {order.price: order for order in (await world.book()).live_orders()}
        await world.fill(orders[D(1000)])
        await world.fill(orders[D(990)])
        await settle(1)
        book = await world.book()
        assert len(book.live_orders()) == 3
        assert sum(o.purpose is Purpose.CLOSE for o in book.live_orders()) == 2


@virtually
async def test_a_lost_batch_is_decided_again_under_the_same_id() -> None:
    world = World()
    world.lose_batches = 2
    async with world.running():
        await settle(0.4)
        assert len(world.batches) == 1
        await settle(3)
        ids = [batch.batch_id for batch in world.batches[:3]]
        assert ids == ["btc:0:1"] * 3
        assert await world.resting() == WINDOW
        assert (await world.book()).totals.orders == 3


@pytest.mark.invariant(1)
@virtually
async def test_a_batch_that_is_only_slow_does_nothing_twice() -> None:
    world = World()
    async with world.running():
        await settle(0.1)
        first = world.batches[0]
        await settle(1)
        await world.bus.publish(ACTIONS, "paper", first)
        await settle(1)
        assert (await world.book()).totals.orders == 3
        assert not world.refusals


@virtually
async def test_a_burst_of_prices_costs_few_plans() -> None:
    world = World()
    async with world.running():
        await settle()
        plans = plans_of(world)
        for number in range(1000):
            world.hear_price(D(1005) + D(number) / 1000)
        await settle(0.1)
        assert plans_of(world) - plans <= 2


async def refuse_nearest(world: World, reason: EndReason) -> None:
    nearest = (await world.book()).slots[D(1000)].order
    assert nearest is not None
    refused = PlacementResult(
        client_oid=nearest.client_oid, status=OrderStatus.REJECTED, end_reason=reason
    )
    await world.positions.record("btc", (refused,))


@virtually
async def test_it_decides_again_the_moment_a_back_off_ends() -> None:
    world = World()
    async with world.running():
        await settle(0.61)
        await refuse_nearest(world, EndReason.POST_ONLY_WOULD_TAKE)
        until_ns = (await world.book()).slots[D(1000)].blocked_until_ns
        world.beating -= {"price", "stream", "gate"}  # nothing else wakes it in between
        decided = len(world.batches)
        waits_s = (until_ns - world.clock.now_ns()) / 1e9
        await settle(waits_s - 0.001)
        assert len(world.batches) == decided
        await settle(0.002)
        assert len(world.batches) == decided + 1


@pytest.mark.invariant(52)
@virtually
async def test_it_decides_again_the_moment_a_pause_of_openings_ends() -> None:
    world = World()
    async with world.running():
        await settle(0.61)
        await refuse_nearest(world, EndReason.INSUFFICIENT_MARGIN)
        decided = len(world.batches)
        await settle(0.999)
        assert len(world.batches) == decided
        assert await world.resting() == ["OPEN BUY 980", "OPEN BUY 990"]
        assert world.engine.status().phase is Phase.REDUCING
        assert world.engine.status().waiting_for == (ROOM,)
        await settle(0.002)
        assert world.engine.status().phase is Phase.TRADING
        assert len(world.batches) == decided + 1
        await settle(0.1)
        assert await world.resting() == WINDOW


@virtually
async def test_a_candle_that_closes_has_it_decide() -> None:
    grid = replace(BOT.grid, atr=AtrSpacing(period=1, multiple=D(1)))
    world = World(replace(BOT, grid=grid))
    async with world.running():
        await settle(0.61)
        plans = plans_of(world)
        for minute in range(2):
            world.engine.hear_candle(
                Candle(
                    symbol="BTCUSDT",
                    open_time_ns=minute * 60 * 10**9,
                    interval_s=60,
                    open=D(1000),
                    high=D(1020),
                    low=D(1000),
                    close=D(1010),
                    volume=D(1),
                    closed=True,
                )
            )
        await settle(0.001)
        assert plans_of(world) > plans


@virtually
async def test_the_window_follows_the_market() -> None:
    world = World()
    async with world.running():
        await settle()
        world.price = D(1045)
        await settle(2)
        assert await world.resting() == ["OPEN BUY 1020", "OPEN BUY 1030", "OPEN BUY 1040"]


@virtually
async def test_an_overtaken_price_is_ignored() -> None:
    world = World()
    async with world.running():
        await settle()
        world.hear_price(D(2000), receive_time_ns=world.clock.now_ns() - 10**10)
        assert world.engine.status().last_price == 1005


@virtually
async def test_a_price_that_says_nothing_is_no_price() -> None:
    world = World()
    world.beating.remove("price")
    async with world.running():
        world.hear_price(last=None, ask=None)
        await settle()
        assert world.engine.status().last_price is None


@virtually
async def test_what_the_watch_repeats_changes_nothing() -> None:
    world = World()
    world.positions.told = lambda event: (event, event)
    async with world.running():
        await settle(2)
        assert await world.resting() == WINDOW
        assert world.positions.watched_from == [0]


@virtually
async def test_a_gap_in_the_watch_is_closed_with_a_snapshot() -> None:
    world = World()
    async with world.running():
        await settle()
        order = (await world.book()).live_orders()[0]
        world.positions.told = lambda _: ()
        await world.fill(order)
        await settle(0.1)
        world.positions.told = lambda event: (event,)
        revision = (await world.book()).revision
        world.positions.tell("btc", Checkpoint(revision=revision))
        await settle(2)
        assert world.positions.watched_from == [0, 0]
        assert "CLOSE SELL" in " ".join(await world.resting())


@virtually
async def test_a_missing_change_is_noticed_at_the_next_one() -> None:
    world = World()
    async with world.running():
        await settle()
        lost = iter([True])

        def lose_one(event: WatchEvent) -> Iterable[WatchEvent]:
            return () if isinstance(event, GridChange) and next(lost, False) else (event,)

        world.positions.told = lose_one
        orders = (await world.book()).live_orders()
        await world.fill(orders[0])
        await world.fill(orders[1])
        await settle(2)
        assert world.positions.watched_from == [0, 0]
        assert world.engine.status().state_revision == (await world.book()).revision


@virtually
async def test_a_broken_watch_goes_on_from_where_it_was() -> None:
    world = World()
    async with world.running():
        await settle()
        revision = world.engine.status().state_revision
        world.positions.answers = False
        world.positions.break_watches("btc")
        await settle(0.3)
        assert "state" in world.engine.status().waiting_for
        decided = len(world.batches)
        world.price = D(1045)
        await settle(2)
        assert len(world.batches) == decided, "it decides nothing on a book that may be behind"
        world.positions.answers = True
        await settle(4)
        assert world.positions.watched_from[-1] == revision
        assert await world.resting() == ["OPEN BUY 1020", "OPEN BUY 1030", "OPEN BUY 1040"]


@virtually
async def test_a_compacted_history_means_a_fresh_snapshot() -> None:
    world = World()
    async with world.running():
        await settle()
        world.positions.break_watches("btc")
        await world.fill((await world.book()).live_orders()[0])
        changes = await world.store.unpublished(100)
        await world.store.mark_published(changes)
        await world.store.compact(keep=0)
        await settle(3)
        first, resumed, *_, last = world.positions.watched_from
        assert (first, last) == (0, 0)
        assert resumed > 0
        assert world.engine.status().state_revision == (await world.book()).revision


@virtually
async def test_a_watch_that_falls_silent_is_taken_for_dead() -> None:
    world = World()
    async with world.running():
        await settle()
        await settle(SILENCE_MAX_S + 1)
        assert len(world.positions.watched_from) == 2


@virtually
async def test_paused_it_decides_nothing_and_leaves_its_orders() -> None:
    world = World()
    async with world.running():
        await settle()
        world.engine.pause()
        world.price = D(1045)
        await settle(3)
        assert await world.resting() == WINDOW
        assert world.engine.status().phase is Phase.PAUSED
        world.engine.resume()
        await settle(2)
        assert await world.resting() == ["OPEN BUY 1020", "OPEN BUY 1030", "OPEN BUY 1040"]


@virtually
async def test_the_anchor_is_the_first_price_on_a_whole_interval_and_outlives_a_restart() -> None:
    world = World()
    world.price = D(1004)
    async with world.running():
        await settle()
        assert (await world.book()).identity.anchor == 1000
    again = World(store=world.store)
    again.price = D(1017)
    async with again.running():
        await settle()
        assert again.bot.identity(again.price).anchor == 1020
        assert (await again.book()).identity.anchor == 1000


@virtually
async def test_a_restart_finds_its_orders_and_places_none_of_them_again() -> None:
    world = World()
    async with world.running():
        await settle()
    again = World(store=world.store)
    async with again.running():
        await settle(5)
        assert again.batches == []
        assert await again.resting() == WINDOW


def test_a_market_below_one_interval_still_has_a_level() -> None:
    assert BOT.identity(D("0.3")).anchor == 10
    assert replace(BOT, anchor=D(7)).identity(D(1000)).anchor == 7


@virtually
async def test_a_state_service_that_comes_late_is_waited_for() -> None:
    world = World()
    world.positions.answers = False
    async with world.running():
        await settle(5)
        assert world.engine.status().phase is Phase.STARTING
        world.positions.answers = True
        await settle(4)
        assert await world.resting() == WINDOW


@virtually
async def test_a_registration_that_is_refused_ends_the_engine() -> None:
    world = World()

    async def refuse(identity: GridIdentity) -> Any:
        raise Refusal(RefusalReason.BOT_DIFFERS, field="identity")

    world.positions.register_grid = refuse  # type: ignore[method-assign]
    await world.engine.start()
    world.hear_price()
    with pytest.raises(ExceptionGroup) as caught:
        await world.engine.finished()
    assert caught.group_contains(Refusal)


@virtually
async def test_a_bus_that_fails_costs_a_second() -> None:
    world = World()
    publish, failures = world.bus.publish, iter([True])

    async def fail_once(*args: Any, **options: Any) -> None:
        if next(failures, False):
            raise DependencyError("down")
        await publish(*args, **options)

    world.bus.publish = fail_once  # type: ignore[method-assign]
    async with world.running():
        await settle(2)
        assert await world.resting() == WINDOW


@virtually
async def test_stopped_it_decides_nothing_more() -> None:
    world = World()
    async with world.running():
        await settle()
        await world.engine.stop()
        decided = len(world.batches)
        world.price = D(1045)
        await settle(3)
        assert len(world.batches) == decided


def plans_of(world: World) -> float:
    value = world.metrics.registry.get_sample_value(
        "opensqt_strategy_plan_seconds_count", {"bot": "btc"}
    )
    assert value is not None
    return value
