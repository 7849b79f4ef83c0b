"""What exchanges and other programs tell that cannot be: put aside, counted, told; never a halt of
everything, never a loop.

Payloads and raw answers that cannot be are in tests/integration/ccxt and tests/unit/adapters/ccxt.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.grid.book import SlotStatus, Standing
from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import EndReason, Execution, OrderStatus, Purpose, Side
from opensqt.ports import ORDER_UPDATES
from tests.scenarios.venue import ACCOUNT, BTC
from tests.scenarios.world import BOT, World, buy

YEAR_NS = 365 * 24 * 3600 * 10**9


def stranger(client_oid: str, **changes: Any) -> OrderUpdate:
    told = OrderUpdate(
        account=ACCOUNT,
        symbol=BTC,
        client_oid=client_oid,
        exchange_order_id="987654",
        side=Side.BUY,
        status=OrderStatus.NEW,
        end_reason=EndReason.NONE,
        price=D(59500),
        quantity=D("0.010"),
        filled_quantity=D(0),
        average_price=None,
        execution=None,
        source=UpdateSource.STREAM,
        exchange_time_ns=1,
        receive_time_ns=1,
    )
    return replace(told, **changes)


def execution_of(told: OrderUpdate, quantity: str) -> Execution:
    return Execution(
        execution_id="e987",
        client_oid=told.client_oid,
        symbol=told.symbol,
        side=told.side,
        price=D(59900),
        quantity=D(quantity),
        fee=D("0.1"),
        fee_asset="USDT",
        maker=True,
        exchange_time_ns=1,
    )


async def tell(world: World, update: OrderUpdate) -> None:
    await world.bus.publish(ORDER_UPDATES, ACCOUNT, update, message_id=repr(update))
    await asyncio.sleep(0.5)


async def still_works(world: World) -> None:
    """The state has not stopped at what it was told: what comes behind is applied."""
    await world.decide(buy(59700))
    await asyncio.sleep(0.2)
    world.venue.fill(59700)
    await asyncio.sleep(0.2)
    assert (await world.slot(59700)).position_qty == D("0.010")


async def id_of(world: World, *, bot_id: str = BOT, price: str = "59500", age: int = 0) -> str:
    """An id as we make them; of a ledger that is `age` seconds older than ours."""
    epoch = (await world.book()).identity.epoch - age
    return grid_order_id(
        bot_id=bot_id,
        epoch=epoch,
        slot_price=D(price),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        cycle=3,
    )


@pytest.mark.invariant(9, 48)
@pytest.mark.parametrize("name", ["", "web_manual", "x-OtherBot-17", "ümläut 💥", "g" * 500])
async def test_an_order_of_somebody_else(world: World, name: str) -> None:
    await tell(world, stranger(name))
    await tell(world, stranger(name, status=OrderStatus.FILLED, filled_quantity=D("0.010")))
    page = await world.positions.quarantine()
    assert [item.update.client_oid for item in page.items] == [name]
    assert page.items[0].update.status is OrderStatus.FILLED, "the latest of each order"
    assert (await world.book()).standing is Standing.TRADING
    assert world.count("state", "state_order_updates_total", outcome="quarantined") == 2
    await still_works(world)
    await world.agree()


@pytest.mark.invariant(9, 48)
async def test_an_order_of_another_of_our_programs(world: World) -> None:
    """A bot of another ledger trades on the same account; its ids are like ours."""
    theirs = await id_of(world, bot_id="beta")
    world.venue.by_hand(theirs, 59550)
    await asyncio.sleep(30)
    page = await world.positions.quarantine()
    assert [item.update.client_oid for item in page.items] == [theirs]
    assert theirs in world.open_on_exchange()
    assert (await world.book()).standing is Standing.TRADING
    await still_works(world)


@pytest.mark.invariant(9)
async def test_an_id_of_ours_that_this_ledger_has_never_made(world: World) -> None:
    """Of this ledger's time: another copy of it is at work, so this one must not open anything."""
    ours = await id_of(world)
    world.venue.by_hand(ours, 59500, "0.010")
    await asyncio.sleep(1)
    book = await world.book()
    assert book.standing is Standing.HALTED
    assert ours in book.standing_reason
    assert ours in world.open_on_exchange(), "nothing was cancelled"
    await world.decide(buy(59800))
    await asyncio.sleep(1)
    assert not world.venue.sent


@pytest.mark.invariant(9)
async def test_an_id_of_a_lost_ledger_for_a_slot_that_is_not_in_the_book(world: World) -> None:
    old = await id_of(world, age=3600)
    world.venue.by_hand(old, 59500, "0.010")
    await asyncio.sleep(1)
    slot = await world.slot(59500)
    assert slot.status is SlotStatus.LOCKED
    assert slot.order is not None
    assert slot.order.client_oid == old
    world.venue.fill(59500)
    await asyncio.sleep(1)
    assert (await world.slot(59500)).position_qty == D("0.010")
    assert (await world.book()).standing is Standing.TRADING
    await still_works(world)


@pytest.mark.invariant(9)
async def test_an_id_of_a_lost_ledger_for_a_slot_off_the_grid(world: World) -> None:
    old = await id_of(world, price="59512.3", age=3600)
    world.venue.by_hand(old, 59500, "0.010")
    await asyncio.sleep(1)
    book = await world.book()
    assert D("59512.3") not in book.slots
    assert book.standing is Standing.HALTED
    assert old in world.open_on_exchange()
    page = await world.positions.quarantine()
    assert [item.update.client_oid for item in page.items] == [old]


IMPOSSIBLE: dict[str, Callable[[OrderUpdate], OrderUpdate]] = {
    "nothing was ordered": lambda u: replace(u, quantity=D(0)),
    "less than nothing was ordered": lambda u: replace(u, quantity=D("-0.010")),
    "far more was ordered": lambda u: replace(u, quantity=D("1e30")),
    "far more was filled": lambda u: replace(
        u, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("1e30")
    ),
    "it executed far more": lambda u: replace(
        u, status=OrderStatus.PARTIALLY_FILLED, execution=execution_of(u, "1e30")
    ),
    "it executed less than nothing": lambda u: replace(
        u, status=OrderStatus.PARTIALLY_FILLED, execution=execution_of(u, "-0.005")
    ),
    "filled, and nothing was": lambda u: replace(u, status=OrderStatus.FILLED),
    "it sells": lambda u: replace(u, side=Side.SELL),
    "it trades something else": lambda u: replace(u, symbol="ETHUSDT"),
    "no number at all": lambda u: replace(
        u, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("NaN")
    ),
    "a price below nothing": lambda u: replace(
        u,
        status=OrderStatus.PARTIALLY_FILLED,
        filled_quantity=D("0.005"),
        average_price=D(-1),
        execution=replace(execution_of(u, "0.005"), price=D(-1)),
    ),
}


@pytest.mark.invariant(3, 7)
@pytest.mark.parametrize("how", IMPOSSIBLE)
async def test_what_cannot_be_said_of_our_order(world: World, how: str) -> None:
    [order] = await world.rest(59900)
    before = await world.slot(59900)
    await tell(world, IMPOSSIBLE[how](world.venue.told(order.client_oid)))
    after = await world.slot(59900)
    assert (after.status, after.order, after.position_qty) == (
        before.status,
        before.order,
        before.position_qty,
    )
    book = await world.book()
    assert book.standing is Standing.HALTED, "its book may be wrong: a person has to look"
    assert order.client_oid in book.standing_reason
    page = await world.positions.quarantine()
    assert [item.update.client_oid for item in page.items] == [order.client_oid]
    assert world.count("state", "state_order_updates_total", outcome="quarantined") == 1
    world.venue.fill(59900)  # what is true comes through all the same
    await asyncio.sleep(0.5)
    assert (await world.slot(59900)).position_qty == D("0.010")
    await world.agree()


@pytest.mark.invariant(3)
async def test_what_filled_cannot_be_less_than_nothing(world: World) -> None:
    [order] = await world.rest(59900)
    world.venue.fill(59900, "0.006")
    await asyncio.sleep(0.2)
    await tell(world, replace(world.venue.told(order.client_oid), filled_quantity=D(-5)))
    assert (await world.slot(59900)).position_qty == D("0.006")
    await world.agree()


async def test_times_from_the_future_hide_nothing(world: World) -> None:
    """The stream leaves out a fill that the exchange dates a year ahead."""
    await world.rest(59900, 59800)
    world.venue.dated_ns = YEAR_NS
    world.venue.passes = lambda _: False
    world.venue.fill(59900)
    await asyncio.sleep(30)
    assert (await world.slot(59900)).position_qty == D("0.010")
    world.venue.dated_ns = 0
    await world.kill("market_data")
    world.venue.fill(59800)
    await asyncio.sleep(3600)
    await world.start("market_data")
    await asyncio.sleep(30)
    assert (await world.slot(59800)).position_qty == D("0.010")
    await world.agree()


async def test_an_update_that_breaks_the_ledger_is_put_aside(world: World) -> None:
    """Whatever it is that nobody foresaw."""
    [order] = await world.rest(59900)
    ledger = world.apps["state"].ledger
    apply = ledger.apply

    async def stumble(update: OrderUpdate) -> Any:
        if update.filled_quantity == D("0.001"):
            raise ZeroDivisionError
        return await apply(update)

    ledger.apply = stumble
    await tell(world, replace(world.venue.told(order.client_oid), filled_quantity=D("0.001")))
    assert world.count("state", "state_order_updates_rejected_total") == 1
    page = await world.positions.quarantine()
    assert "ZeroDivisionError" in page.items[0].reason
    assert (await world.book()).standing is Standing.HALTED
    world.venue.fill(59900)
    await asyncio.sleep(0.5)
    assert (await world.slot(59900)).position_qty == D("0.010")
