"""The exchange's position beside the ledger's: only a difference that lasts is a divergence."""

import asyncio
from decimal import Decimal as D

import pytest

from opensqt.core.events import PositionCheck
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.orders import Side
from opensqt.ports import POSITION_CHECKS
from tests.unit.market_data.world import BTC, World


def checks(world: World) -> list[PositionCheck]:
    return world.bus.of(POSITION_CHECKS)


def trade_by_hand(
    world: World, quantity: str, side: Side = Side.BUY, *, streamed: bool = False
) -> None:
    """Somebody trades on the same account."""
    request = OrderRequest(
        symbol=BTC,
        client_order_id=f"by-hand-{world.clock.now_ns()}",
        side=side,
        type=OrderType.MARKET,
        quantity=D(quantity),
    )
    events = world.venue.exchange.place("main", request, now_ns=world.clock.now_ns())
    if streamed:
        world.venue._send(events)


async def test_every_comparison_tells_how_positions_stand(world: World) -> None:
    async with world.running(recheck_interval_s=5):
        await world.place(59900)
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(21)
        told = checks(world)
        assert len(told) in (5, 6)
        assert told[-1].exchange_quantity == told[-1].ledger_quantity == D("0.010")
        assert not any(check.diverging for check in told)


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_was_traded_by_hand_shows_within_seconds(
    world: World, *, streamed: bool
) -> None:
    async with world.running(recheck_interval_s=10):
        await asyncio.sleep(1)
        trade_by_hand(world, "0.5", streamed=streamed)
        await asyncio.sleep(18)
        first = next(check for check in checks(world) if check.diverging)
        assert first.difference == D("0.500")
        assert first.ledger_quantity == 0
        # Seen three times, two seconds apart: the next comparison did not wait for its turn.
        seen = [check for check in checks(world) if check.difference]
        assert 4 * 10**9 <= first.check_time_ns - seen[0].check_time_ns < 8 * 10**9
        trade_by_hand(world, "0.5", Side.SELL)
        await asyncio.sleep(10)
        assert not checks(world)[-1].diverging


async def test_a_difference_within_the_bound_is_none(world: World) -> None:
    async with world.running(recheck_interval_s=2, position_difference_max=D("0.5")):
        trade_by_hand(world, "0.5")
        await asyncio.sleep(20)
        assert not any(check.diverging for check in checks(world))
        trade_by_hand(world, "0.001")
        await asyncio.sleep(20)
        assert checks(world)[-1].diverging
        assert checks(world)[-1].bound == D("0.5")


async def test_fills_that_wait_for_the_bus_are_no_divergence(world: World) -> None:
    async with world.running(recheck_interval_s=2):
        await world.place(59900, 59800, 59700)
        await asyncio.sleep(0.1)
        world.bus.stores = False
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(30)
        assert not any(check.diverging for check in checks(world))
        world.bus.stores = True
        await asyncio.sleep(10)
        assert checks(world)[-1].difference == 0
        assert not any(check.diverging for check in checks(world))


async def test_fills_that_wait_for_the_ledger_are_no_divergence(world: World) -> None:
    async with world.running(recheck_interval_s=2):
        await world.place(59900)
        await asyncio.sleep(0.1)
        world.takes_in.clear()
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(60)
        assert checks(world)[-1].difference == D("0.010")
        assert not any(check.diverging for check in checks(world))
        world.takes_in.set()
        await asyncio.sleep(10)
        assert checks(world)[-1].difference == 0


async def test_what_is_on_its_way_does_not_make_a_divergence_forgotten(world: World) -> None:
    async with world.running(recheck_interval_s=2):
        await world.place(59900)
        trade_by_hand(world, "0.5")
        await asyncio.sleep(20)
        assert checks(world)[-1].diverging
        world.takes_in.clear()
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(10)
        on_its_way = checks(world)[-1]
        assert (on_its_way.difference, on_its_way.diverging) == (D("0.510"), False)
        world.takes_in.set()
        before = len(checks(world))
        await asyncio.sleep(3)
        told = checks(world)[before:]
        assert told
        assert all(check.diverging and check.difference == D("0.500") for check in told)


async def test_a_busy_market_neither_hides_a_divergence_nor_makes_one(world: World) -> None:
    async with world.running(recheck_interval_s=2):
        trade_by_hand(world, "0.5")
        for round_ in range(30):
            price = 59900 - 100 * round_
            await world.place(price)
            world.venue.trade(BTC, D(price - 10), D(1))
            await asyncio.sleep(0.7)
        assert {check.difference for check in checks(world) if check.diverging} == {D("0.500")}


@pytest.mark.invariant(2)
async def test_neighbours_on_a_market_are_added_up(world: World) -> None:
    await world.register("beta")
    async with world.running(recheck_interval_s=2):
        await world.place(59900)
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(1)
        await world.place(59800, bot_id="beta")
        world.venue.trade(BTC, D("59790.0"), D(1))
        await asyncio.sleep(10)
        assert checks(world)[-1].ledger_quantity == D("0.020")
        assert not any(check.diverging for check in checks(world))
