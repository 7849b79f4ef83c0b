"""What is the simple engine's own: what it saves when, and how it comes back."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal as D
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from opensqt.core.bot_status import ROOM, Phase
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Candle, Forced
from opensqt.core.grid.book import Direction, Standing
from opensqt.core.grid.config import AtrSpacing
from opensqt.core.orders import OrderStatus
from opensqt.engine.simple import SimpleEngine
from opensqt.ports import CheckpointError
from opensqt.testing.contracts.engine import SETTLED_S, SOON_S, WINDOW
from opensqt.testing.engine_world import ACCOUNT, BOT, SYMBOL
from opensqt.testing.memory_checkpoints import MemoryCheckpoints
from opensqt.testing.virtual_time import run_virtually
from tests.unit.engine.engine_worlds import SimpleWorld


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time."""

    @wraps(test)
    def run(*args: Any, **options: Any) -> None:
        run_virtually(test(*args, **options))

    return run


def running(world: SimpleWorld) -> SimpleEngine:
    assert world.simple is not None
    return world.simple


@pytest.mark.invariant(8)
@virtually
async def test_an_intent_is_saved_before_it_is_sent() -> None:
    world = SimpleWorld()
    world.venue.hang = "before"
    async with world.running():
        await world.until_sent()
        bot_id = world.bot.bot_id
        saved = [world.memory.order(bot_id, order.client_oid) for order in world.venue.sent]
        assert [order is not None and order.status for order in saved] == [OrderStatus.PENDING] * 3


@virtually
async def test_what_cannot_be_saved_is_not_sent() -> None:
    """And once it can be, the grid is filled under ids that were never used."""
    world = SimpleWorld()
    world.memory.fails = True
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        assert world.venue.sent == []
        assert running(world).status().phase is Phase.REDUCING
        assert running(world).status().waiting_for == ("checkpoint",)
        world.memory.fails = False
        await asyncio.sleep(SETTLED_S)
        assert world.resting() == WINDOW
        assert await world.differences() == []


@pytest.mark.invariant(52)
@virtually
async def test_while_openings_pause_it_says_so() -> None:
    world = SimpleWorld()
    world.venue.short_of_margin = True
    async with world.running():
        await world.until_sent()
        await asyncio.sleep(0.01)
        assert running(world).status().phase is Phase.REDUCING
        assert running(world).status().waiting_for == (ROOM,)
        world.venue.short_of_margin = False
        await asyncio.sleep(SOON_S)
        assert running(world).status().phase is Phase.TRADING
        assert world.resting() == WINDOW


@virtually
async def test_an_end_that_cannot_be_saved_says_so() -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        world.memory.fails = True
        with pytest.raises(CheckpointError, match="told not to save"):
            await world.end()
        world.memory.fails = False
        await world.make()
        await asyncio.sleep(SETTLED_S)
        assert len(world.venue.sent) == 3


@virtually
async def test_what_is_no_intent_is_saved_within_seconds() -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        saves = world.memory.saves
        world.trade("999.9", "0.004")
        await asyncio.sleep(6)
        assert world.memory.saves == saves + 1
        await asyncio.sleep(60)
        assert world.memory.saves == saves + 1, "nothing has changed"


@pytest.mark.invariant(46)
@virtually
async def test_a_gap_is_caught_up_with_before_anything_is_decided() -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        world.lossy, world.beating = True, False
        world.move(985)
        world.lossy = False
        world.venue.reachable = False
        world.run_in_process(running(world).catch_up())
        await asyncio.sleep(1)
        world.beating = True
        await asyncio.sleep(5)
        assert len(world.venue.sent) == 3
        assert running(world).status().waiting_for == ("reconciliation",)
        world.venue.reachable = True
        await asyncio.sleep(5)
        book = await world.book()
        assert book.position == D("0.02")
        assert book.totals.fills == 2
        assert "CLOSE SELL 1010 0.01" in world.resting()
        assert await world.differences() == []


@pytest.mark.parametrize("kept", ["nothing", "the orders"])
@pytest.mark.parametrize("deaths", [0, 2])
@virtually
async def test_without_its_checkpoint_it_finds_its_orders_on_the_exchange(
    kept: str, deaths: int
) -> None:
    """And waits until what its lost self may have sent last has arrived, though it dies again."""
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        if kept == "nothing":
            world.venue.cancel_all(SYMBOL)
        world.move(999)
        await asyncio.sleep(SOON_S)
        held = (await world.book()).position
        await world.kill()
        world.memory = MemoryCheckpoints()
        world.checkpoints = world.memory
        sent = len(world.venue.sent)
        await asyncio.sleep(600)
        for _ in range(deaths):
            await world.make()
            await asyncio.sleep(3)
            await world.kill()
        began_ns = world.clock.now_ns()
        await world.make()
        await asyncio.sleep(5)
        assert len(world.venue.sent) == sent
        await asyncio.sleep(SETTLED_S)
        assert (await world.book()).position == held
        assert await world.differences() == []
        assert all(order.created_ns - began_ns > 6e9 for order in world.venue.sent[sent:])


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"direction": Direction.SHORT}, "direction"),
        ({"account": "other"}, "account"),
        ({"grid": replace(BOT.grid, interval=D(5))}, "interval"),
    ],
)
@virtually
async def test_the_checkpoint_of_another_grid_is_refused(other: dict[str, Any], field: str) -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        await world.end()
        world.bot = replace(BOT, **other)
        with pytest.raises(Refusal) as refused:
            await world.make()
        assert (refused.value.reason, refused.value.field) == (
            RefusalReason.BOT_DIFFERS,
            f"bot.{field}",
        )
        world.bot = BOT
        await world.make()


@virtually
async def test_a_setting_that_is_no_part_of_the_grid_may_change() -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        await world.end()
        world.bot = replace(BOT, grid=replace(BOT.grid, buy_levels=4))
        await world.make()
        await asyncio.sleep(SETTLED_S)
        assert world.resting() == [*WINDOW[:1], "OPEN BUY 970 0.01", *WINDOW[1:]]


@pytest.mark.invariant(49)
@pytest.mark.parametrize("known_by", ["stream", "look-up"])
@virtually
async def test_what_the_exchange_closes_by_force_leaves_the_slots_and_halts(known_by: str) -> None:
    """Told, or found out at the next start; and it stays halted."""
    world, heard = SimpleWorld(), known_by == "stream"
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        world.move(999)
        await asyncio.sleep(SOON_S)
        world.beating, world.lossy = heard, not heard
        if not heard:
            await world.kill()
        world.venue.force_close(SYMBOL, Forced.LIQUIDATION)
        await asyncio.sleep(SOON_S)
        if not heard:
            world.beating, world.lossy = True, False
            await world.make()
        for _ in range(2):
            await asyncio.sleep(SETTLED_S)
            book = await world.book()
            assert book.position == 0
            assert book.standing is Standing.HALTED
            assert world.resting() == []
            assert book.totals.fees == world.venue.exchange.accounts[ACCOUNT].fees
            await world.kill()
            await world.make()


@pytest.mark.invariant(12)
@virtually
async def test_on_an_old_price_it_opens_nothing() -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        world.beating = False
        await asyncio.sleep(3)
        world.move(999)
        await asyncio.sleep(SOON_S)
        assert world.resting() == ["CLOSE SELL 1010 0.01", "OPEN BUY 980 0.01", "OPEN BUY 990 0.01"]
        await asyncio.sleep(60)
        assert world.resting() == ["CLOSE SELL 1010 0.01"]


@virtually
async def test_paused_it_decides_nothing_until_resumed() -> None:
    world = SimpleWorld()
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        engine = running(world)
        engine.pause()
        world.move(999)
        await asyncio.sleep(SOON_S)
        assert engine.status().phase is Phase.PAUSED
        assert len(world.venue.sent) == 3
        await engine.resume()
        await asyncio.sleep(SOON_S)
        assert "CLOSE SELL 1010 0.01" in world.resting()


@virtually
async def test_candles_widen_the_grid_before_and_after_the_first_price() -> None:
    bot = replace(BOT, grid=replace(BOT.grid, atr=AtrSpacing(period=2, multiple=D(1))))
    world = SimpleWorld(bot)
    world.beating = False
    async with world.running():
        engine = running(world)
        for minute in range(2):
            engine.hear_candle(candle(minute, wide=20))
        world.beating = True
        await asyncio.sleep(SETTLED_S)
        assert world.resting() == ["OPEN BUY 1000 0.01", "OPEN BUY 960 0.01", "OPEN BUY 980 0.01"]
        for minute in range(2, 30):
            engine.hear_candle(candle(minute, wide=10))
        await asyncio.sleep(SETTLED_S)
        assert world.resting() == WINDOW


def candle(minute: int, *, wide: int) -> Candle:
    return Candle(
        symbol=SYMBOL,
        open_time_ns=minute * 60 * 10**9,
        interval_s=60,
        open=D(1000),
        high=D(1000 + wide),
        low=D(1000),
        close=D(1000),
        volume=D(1),
        closed=True,
    )


@virtually
async def test_a_bot_runs_once_on_a_file(tmp_path: Path) -> None:
    world = SimpleWorld(path=tmp_path / "checkpoints.sqlite")
    async with world.running():
        await asyncio.sleep(SETTLED_S)
        first = world.checkpoints
        with pytest.raises(CheckpointError, match="is run by process"):
            await world.make()
        world.checkpoints = first
