"""Numbers 41 to 50: events come late, early, twice, or not at all."""

import asyncio
import itertools
from dataclasses import replace
from decimal import Decimal as D
from typing import Self

import pytest

from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.grid.book import SlotStatus, Standing
from opensqt.core.orders import EndReason, OrderStatus, Purpose
from opensqt.ports import ORDER_UPDATES, AccountEvent
from tests.scenarios.venue import ACCOUNT, BTC
from tests.scenarios.world import BOT, World, buy, cancel, sell


class Kept:
    """What the account stream would have told, kept back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.updates: list[OrderUpdate] = []

    def __enter__(self) -> Self:
        def keep(event: AccountEvent) -> bool:
            if isinstance(event, OrderUpdate):
                self.updates.append(event)
            return False

        self._world.venue.passes = keep
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._world.venue.passes = lambda _: True


@pytest.mark.invariant(41)
@pytest.mark.parametrize("restarts", [False, True])
async def test_an_order_fills_before_it_is_answered(world: World, *, restarts: bool) -> None:
    world.venue.on_accepted = lambda order: world.venue.fill(order.price)
    await world.decide(buy(59900))
    await asyncio.sleep(0.003)  # the stream was faster
    if restarts:
        await world.restart("execution")
    await asyncio.sleep(1)
    slot = await world.slot(59900)
    assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.010"))
    [order] = await world.orders()
    assert order.status is OrderStatus.FILLED, "the answer that came later says nothing new"
    await world.agree()


@pytest.mark.invariant(42)
async def test_a_fill_comes_again_after_a_reconnection(world: World) -> None:
    with Kept(world) as kept:
        await world.decide(buy(59900))
        await asyncio.sleep(0.1)
        world.venue.fill(59900, "0.004")
    world.venue.tell(*kept.updates)
    await asyncio.sleep(0.1)
    await world.restart("market_data")  # which forgets what it has told
    later = [replace(u, receive_time_ns=world.clock.now_ns()) for u in kept.updates]
    world.venue.tell(*later)
    for number, update in enumerate(later):
        await world.bus.publish(ORDER_UPDATES, ACCOUNT, update, message_id=f"again {number}")
    await asyncio.sleep(1)
    book = await world.book()
    assert (book.position, book.totals.fills) == (D("0.004"), 1)
    assert book.standing is Standing.TRADING, "a repetition is no contradiction"
    await world.agree()


@pytest.mark.invariant(43)
async def test_the_whole_fill_comes_before_the_partial_one(world: World) -> None:
    with Kept(world) as kept:
        await world.decide(buy(59900))
        await asyncio.sleep(0.1)
        world.venue.fill(59900, "0.004")
        world.venue.fill(59900)
    seen = []
    for update in reversed(kept.updates):
        world.venue.tell(update)
        await asyncio.sleep(0.1)
        seen.append((await world.slot(59900)).position_qty)
    assert seen == [D("0.010")] * 3, "the sum is known at once, and never goes back"
    assert (await world.book()).totals.fills == 2
    await world.agree()


@pytest.mark.invariant(44)
async def test_what_a_cancelled_order_filled_is_closed_exactly(world: World) -> None:
    [order] = await world.rest(59900)
    world.venue.fill(59900, "0.006")
    await asyncio.sleep(0.1)
    await world.decide(cancel(order))
    await asyncio.sleep(0.2)
    slot = await world.slot(59900)
    assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.006"))
    await world.decide(sell(59900, "0.010"))
    await asyncio.sleep(0.2)
    assert (await world.slot(59900)).status is SlotStatus.FREE, "that would be too much"
    await world.decide(sell(59900, "0.006"))
    await asyncio.sleep(0.2)
    assert (await world.slot(59900)).status is SlotStatus.LOCKED
    await world.agree()


@pytest.mark.invariant(45)
async def test_a_race_with_a_cancel_reports_the_fill_twice(world: World) -> None:
    """Bybit may send two: one with the execution, one with the cancel that came too late."""
    [order] = await world.rest(59900)
    with Kept(world) as kept:
        world.venue.fill(59900)
        await world.decide(cancel(order))  # finds it gone, and looks it up
        await asyncio.sleep(0.2)
    [fill] = kept.updates
    other = replace(fill, execution=None, average_price=fill.price, exchange_time_ns=1)
    canceled = replace(other, status=OrderStatus.CANCELED, end_reason=EndReason.CANCEL_REQUESTED)
    world.venue.tell(other, fill, canceled, fill)
    await asyncio.sleep(1)
    [known] = await world.orders()
    assert (known.status, known.filled_quantity) == (OrderStatus.FILLED, D("0.010"))
    assert (await world.book()).totals.fills == 1
    await world.agree()


@pytest.mark.invariant(46)
async def test_the_stream_breaks_and_nothing_is_opened_before_all_is_compared(
    trading: World,
) -> None:
    trading.venue.disconnect("the listen key expired")
    trading.venue.fill(59900)
    trading.venue.fill(59800)
    trading.venue.reachable = False
    await asyncio.sleep(1)
    trading.venue.reconnect()
    sent = len(trading.venue.sent)
    trading.price = D(60150)  # where it would open at 60000 and 60100
    await asyncio.sleep(8)
    assert len(trading.venue.sent) == sent, "the stream is back, but the gap is not closed"
    trading.venue.reachable = True
    await asyncio.sleep(8)
    book = await trading.book()
    assert book.position == D("0.020")
    assert book.slots[D(60000)].status is SlotStatus.LOCKED
    await trading.agree()


@pytest.mark.invariant(47)
async def test_a_fill_is_looked_up_and_then_told(world: World) -> None:
    await world.rest(59900)
    with Kept(world) as kept:
        world.venue.fill(59900, "0.004")
        await asyncio.sleep(11)  # two comparisons
        assert (await world.slot(59900)).position_qty == D("0.004")
    world.venue.tell(*kept.updates)
    await asyncio.sleep(1)
    book = await world.book()
    assert (book.position, book.totals.fills) == (D("0.004"), 1)
    assert book.slots[D(59900)].entry_cost == D("239.600")
    assert book.standing is Standing.TRADING
    await world.agree()


@pytest.mark.invariant(48)
async def test_an_order_by_hand_is_put_aside_and_left_alone(trading: World) -> None:
    trading.venue.by_hand("web_1234", 59500)
    trading.venue.by_hand("web_1235", 59850, "0.2")
    trading.venue.fill(59850, "0.05")
    await asyncio.sleep(30)
    page = await trading.positions.quarantine()
    assert {one.update.client_oid for one in page.items} == {"web_1234", "web_1235"}
    assert {"web_1234", "web_1235"} <= trading.open_on_exchange()
    assert trading.count("state", "state_order_updates_total", outcome="quarantined") >= 2
    assert not {"web_1234", "web_1235"} & set(trading.venue.cancels)
    await trading.agree()


@pytest.mark.invariant(49)
@pytest.mark.parametrize("kind", [Forced.LIQUIDATION, Forced.DELEVERAGING])
@pytest.mark.parametrize("heard", [True, False])
async def test_the_exchange_closes_the_position_by_force(
    trading: World, kind: Forced, *, heard: bool
) -> None:
    for price in (59900, 59800):
        trading.venue.fill(price)
    await asyncio.sleep(1)
    assert (await trading.book()).position == D("0.020")
    trading.venue.passes = lambda _: heard
    trading.venue.force_close(BTC, kind)
    await asyncio.sleep(30)
    book = await trading.book()
    assert book.position == 0
    assert trading.venue.account.position(BTC).quantity == 0
    assert book.standing is Standing.HALTED
    assert kind in book.standing_reason
    assert not book.live_orders(), "openings are withdrawn, and nothing is left to close"
    sent = len(trading.venue.sent)
    trading.price = D(60350)
    await asyncio.sleep(30)
    assert len(trading.venue.sent) == sent
    trading.venue.passes = lambda _: True
    await trading.positions.resume_grid(BOT, by="cli")
    await asyncio.sleep(10)
    assert len(trading.open_on_exchange()) == 3


@pytest.mark.invariant(49)
async def test_a_part_is_closed_by_force_and_the_worst_entry_goes_first(trading: World) -> None:
    for price in (59900, 59800):
        trading.venue.fill(price)
    await asyncio.sleep(1)
    trading.venue.force_close(BTC, Forced.DELEVERAGING, D("0.012"))
    await asyncio.sleep(30)
    book = await trading.book()
    assert book.slots[D(59900)].position_qty == 0
    assert book.slots[D(59800)].position_qty == D("0.008")
    assert book.position == trading.venue.account.position(BTC).quantity
    closing = [order for order in book.live_orders() if order.purpose is Purpose.CLOSE]
    assert [(o.slot_price, o.quantity) for o in closing] == [(D(59800), D("0.008"))]


@pytest.mark.invariant(50)
async def test_self_trade_prevention_expires_an_order_again_and_again(trading: World) -> None:
    times_s = []
    for _ in range(120):
        for order in (await trading.book()).live_orders():
            if order.price == 59900:
                times_s.append(trading.clock.now_ns() / 1e9)
                trading.venue.end(
                    order.client_oid, OrderStatus.EXPIRED, EndReason.SELF_TRADE_PREVENTION
                )
        await asyncio.sleep(0.5)
    pauses_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert 4 < len(times_s) < 12, "it is tried again, but not in a tight loop"
    assert pauses_s == sorted(pauses_s)
    await trading.agree()
