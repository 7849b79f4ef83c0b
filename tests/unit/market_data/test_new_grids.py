"""A grid that is new to the ledger: nothing is placed before the exchange's past of it is known."""

import asyncio
from decimal import Decimal as D

import pytest

from opensqt.core.errors import Refusal
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.grid.book import Standing
from opensqt.core.orders import Side
from tests.unit.market_data.world import BTC, World


async def test_nothing_is_placed_before_a_comparison(world: World) -> None:
    with pytest.raises(Refusal, match="BOT_NOT_TRADING"):
        await world.reserve(59900)
    async with world.running():
        assert (await world.grid()).standing is Standing.TRADING
        assert len(await world.reserve(59900)) == 1


async def test_a_grid_that_comes_later_need_not_wait_for_the_next_comparison(
    world: World,
) -> None:
    async with world.running(recheck_interval_s=600):
        await asyncio.sleep(60)
        await world.register("beta")
        await asyncio.sleep(0.6)
        assert (await world.grid("beta")).standing is Standing.TRADING
        assert world.count("grids_confirmed_total") == 2


async def test_without_an_answer_nothing_is_confirmed(world: World) -> None:
    async with world.running(recheck_interval_s=600):
        world.venue.reachable = False
        await world.register("beta")
        await asyncio.sleep(30)
        assert (await world.grid("beta")).standing is Standing.RECONCILING
        world.venue.reachable = True
        await asyncio.sleep(10)
        assert (await world.grid("beta")).standing is Standing.TRADING


async def test_another_accounts_grid_is_left_to_its_own_monitor(world: World) -> None:
    async with world.running():
        await world.register("beta", account="other")
        await asyncio.sleep(60)
        assert (await world.grid("beta")).standing is Standing.RECONCILING


async def test_a_strangers_past_neither_holds_up_nor_is_it_told(world: World) -> None:
    for number in range(30):
        request = OrderRequest(
            symbol=BTC,
            client_order_id=f"by-hand-{number}",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=D("0.001"),
        )
        world.venue.exchange.place("main", request, now_ns=world.clock.now_ns())
        await asyncio.sleep(3600)
    async with world.running():
        assert (await world.grid()).standing is Standing.TRADING
        assert world.put_aside == []


async def test_what_was_put_aside_before_its_grid_was_registered_is_told_again() -> None:
    """The ledger was lost, and the stream told of a fill before the grid was registered anew."""
    lost = World()
    await lost.register(epoch=6)
    await lost.positions.confirm_grid("alpha", epoch=6)
    (order,) = await lost.reserve(59900)
    world = World()
    async with world.running():
        await world.venue.place(order)
        world.venue.trade(BTC, D(59899), D(1))
        await asyncio.sleep(1)
        assert {update.client_oid for update in world.put_aside} == {order.client_oid}
        await world.register()
        await asyncio.sleep(10)
        grid = await world.grid()
    assert grid.standing is Standing.TRADING
    assert grid.position == order.quantity
