"""Numbers 51 to 60: the exchange refuses, or sets limits."""

import asyncio
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import SlotStatus
from opensqt.core.orders import EndReason, OrderStatus, Purpose
from opensqt.ports import ACTIONS
from tests.scenarios.venue import BTC
from tests.scenarios.world import World


def closings(world: World) -> list[D]:
    """Prices of the closing orders that were sent."""
    return [order.price for order in world.venue.sent if order.purpose is Purpose.CLOSE]


@pytest.mark.invariant(51)
@pytest.mark.parametrize("later", [False, True])
async def test_a_post_only_order_would_take(trading: World, *, later: bool) -> None:
    """Refused at once, or accepted first and expired a moment later."""
    trading.venue.refuses = None if later else EndReason.POST_ONLY_WOULD_TAKE
    trading.venue.fill(59900)
    for _ in range(40):
        for order in (await trading.book()).live_orders():
            if later and order.purpose is Purpose.CLOSE:
                trading.venue.end(
                    order.client_oid, OrderStatus.EXPIRED, EndReason.POST_ONLY_WOULD_TAKE
                )
        await asyncio.sleep(0.25)
    refused = closings(trading)
    assert 3 <= len(refused) <= 8, "again and again, but not in a tight loop"
    assert set(refused) == {D(60000)}
    trading.price = D("60044.4")  # by now the exit would take
    trading.venue.refuses = None
    await asyncio.sleep(40)
    assert closings(trading)[-1] == D("60044.4"), "as near as it can be without taking"
    assert all(order.reduce_only for order in trading.venue.sent if order.purpose is Purpose.CLOSE)
    assert all(order.post_only for order in trading.venue.sent)
    await trading.agree()


@pytest.mark.invariant(52)
async def test_margin_is_short(trading: World) -> None:
    trading.venue.refuses = EndReason.INSUFFICIENT_MARGIN
    sent, budget = len(trading.venue.sent), trading.apps["execution"].budget
    trading.price = D("60150.0")  # it would open at 60000 and at 60100
    await asyncio.sleep(60)
    assert len(trading.venue.sent) - sent < 15, "each pause is longer than the last"
    async with asyncio.timeout(120):
        while budget.openings_pause_s < 10:
            await asyncio.sleep(0.1)
    trading.venue.refuses = None
    sent = len(trading.venue.sent)
    trading.venue.fill(59900)
    await asyncio.sleep(2)
    [exit_order] = trading.venue.sent[sent:]
    assert exit_order.purpose is Purpose.CLOSE
    await asyncio.sleep(130)
    assert (await trading.slot(60100)).status is SlotStatus.LOCKED, "openings go on by themselves"
    await trading.agree()


@pytest.mark.invariant(53)
async def test_dust_is_kept_and_not_traded_over_and_over(trading: World) -> None:
    [order] = [o for o in (await trading.book()).live_orders() if o.price == 59900]
    trading.venue.fill(59900, "0.002")  # the least that may be traded is 0.005
    trading.venue.end(order.client_oid, OrderStatus.CANCELED, EndReason.CANCEL_REQUESTED)
    await asyncio.sleep(1)
    sent, decided = len(trading.venue.sent), len(trading.bus.of(ACTIONS))
    await asyncio.sleep(60)
    slot = await trading.slot(59900)
    assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.002"))
    assert (len(trading.venue.sent), len(trading.bus.of(ACTIONS))) == (sent, decided)
    await trading.agree()


@pytest.mark.invariant(54)
async def test_a_ban_is_waited_out(trading: World) -> None:
    trading.venue.held_until_ns = trading.clock.now_ns() + 120 * 10**9
    sent, asked = len(trading.venue.sent), len(trading.venue.cancels)
    trading.price = D("60350.0")
    await asyncio.sleep(115)
    assert (len(trading.venue.sent), len(trading.venue.cancels)) == (sent, asked)
    await asyncio.sleep(15)
    assert len(trading.venue.sent) > sent
    await trading.agree()


@pytest.mark.invariant(57)
@pytest.mark.parametrize("wiped", [False, True])
async def test_the_exchange_takes_cancels_only(trading: World, *, wiped: bool) -> None:
    """Maintenance; with it, some exchanges cancel whatever rests."""
    trading.venue.refuses = EndReason.EXCHANGE_UNAVAILABLE
    if wiped:
        trading.venue.cancel_all(BTC)
    sent = len(trading.venue.sent)
    trading.price = D("60350.0")
    await asyncio.sleep(600)
    assert not [o for o in (await trading.book()).live_orders() if o.price > 60000]
    assert len(trading.venue.sent) - sent < 200, "each slot asks now and then"
    trading.venue.refuses = None
    await asyncio.sleep(40)
    assert len(trading.open_on_exchange()) == 3, "it goes on by itself"
    await trading.agree()


@pytest.mark.invariant(58)
@pytest.mark.parametrize("heard", [True, False])
async def test_the_exchange_cancels_everything(world: World, *, heard: bool) -> None:
    """Its dead-man's switch does, when we have given no sign of life."""
    orders = await world.rest(59900, 59800, 59700)
    world.venue.fill(59900, "0.006")
    await asyncio.sleep(0.1)
    world.venue.passes = lambda _: heard
    world.venue.cancel_all(BTC)
    await asyncio.sleep(0.2 if heard else 11)
    book = await world.book()
    assert not book.live_orders()
    assert book.position == D("0.006")
    assert {order.status for order in await world.orders()} == {OrderStatus.CANCELED}
    assert len(orders) == 3
    await world.agree()


@pytest.mark.invariant(60)
async def test_nobody_is_let_in_and_nothing_is_sent(trading: World) -> None:
    """As when certificates have expired: every call to the state service is refused."""
    ledger, trading._ledger = trading._ledger, lambda: None  # type: ignore[method-assign]
    trading.positions._callee = trading._ledger
    await trading.restart("strategy")
    await trading.restart("execution")
    sent = len(trading.venue.sent)
    trading.price = D("60350.0")
    await asyncio.sleep(120)
    assert len(trading.venue.sent) == sent
    trading.positions._callee = ledger
    await asyncio.sleep(10)
    assert len(trading.venue.sent) > sent
    await trading.agree()
