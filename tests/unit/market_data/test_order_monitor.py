"""The order monitor: nothing is left out, whatever the stream leaves out."""

import asyncio
import random
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.events import UpdateSource
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, OrderStatus, Side
from opensqt.ports import AccountEvent
from tests.unit.market_data.world import BTC, World


async def test_the_stream_is_verified_once_it_is_compared(world: World) -> None:
    async with world.running() as app:
        assert app.stream_status().verified
        assert world.statuses()[0].verified is False
        assert world.statuses()[-1].verified
        assert world.statuses()[-1].epoch == 1


async def test_it_beats_every_second(world: World) -> None:
    async with world.running():
        before = len(world.statuses())
        await asyncio.sleep(10)
        beats = world.statuses()[before:]
        assert 9 <= len(beats) <= 11
        assert all(beat.verified for beat in beats)
        assert beats[-1].beat_time_ns - beats[0].beat_time_ns >= 8 * 10**9


@pytest.mark.invariant(46)
async def test_it_is_not_verified_while_nothing_can_be_looked_up(world: World) -> None:
    async with world.running() as app:
        world.venue.disconnect()
        world.positions.answers = False
        world.venue.reconnect()
        await asyncio.sleep(5)
        status = app.stream_status()
        assert not status.verified
        assert "cannot be compared" in status.reason
        world.positions.answers = True
        await asyncio.sleep(3)
        assert app.stream_status().verified


async def test_a_loss_is_told_at_once(world: World) -> None:
    async with world.running() as app:
        world.venue.disconnect("the listen key expired")
        await asyncio.sleep(0.001)
        told = world.statuses()[-1]
        assert (told.verified, told.reason) == (False, "the listen key expired")
        world.venue.reconnect()
        await asyncio.sleep(0.1)
        assert app.stream_status().verified
        assert world.statuses()[-1].epoch == 2


async def test_an_order_lives_its_life_over_the_stream(world: World) -> None:
    async with world.running():
        [order] = await world.place(59900)
        world.venue.trade(BTC, D("59890.0"), D("0.004"))
        await asyncio.sleep(0.1)
        partly = await world.order(order.client_oid)
        assert (partly.status, partly.filled_quantity) == (
            OrderStatus.PARTIALLY_FILLED,
            D("0.004"),
        )
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(0.1)
        assert (await world.order(order.client_oid)).status is OrderStatus.FILLED
        await world.agree()
        assert {update.source for update in world.applied} == {UpdateSource.STREAM}


@pytest.mark.invariant(46)
async def test_fills_in_a_gap_are_looked_up(world: World) -> None:
    async with world.running():
        filled, partly, canceled, kept = await world.place(59900, 59800, 59700, 59600)
        await asyncio.sleep(0.1)
        world.venue.disconnect()
        world.venue.trade(BTC, D("59890.0"), D("0.006"))
        world.venue.trade(BTC, D("59880.0"), D("0.1"))
        world.venue.trade(BTC, D("59790.0"), D("0.003"))
        await world.venue.cancel(canceled)
        await asyncio.sleep(1)
        world.venue.reconnect()
        await asyncio.sleep(0.5)
        assert (await world.order(filled.client_oid)).status is OrderStatus.FILLED
        assert (await world.order(partly.client_oid)).filled_quantity == D("0.003")
        assert (await world.order(canceled.client_oid)).status is OrderStatus.CANCELED
        assert (await world.order(kept.client_oid)).status is OrderStatus.NEW
        # Each execution counts at its own price, not at an average.
        assert (await world.grid()).slots[D(59900)].entry_cost == D("599.000")
        await world.agree()


async def test_fills_while_the_service_was_down_are_found_at_its_start(world: World) -> None:
    async with world.running():
        await world.place(59900, 59800)
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(0.1)
    await asyncio.sleep(3600)
    world.venue.trade(BTC, D("59790.0"), D(1))
    await asyncio.sleep(3600)
    async with world.running() as app:
        await asyncio.sleep(0.1)
        assert app.stream_status().verified
        await world.agree()


@pytest.mark.invariant(46)
async def test_what_a_living_stream_leaves_out_is_found_by_comparing(world: World) -> None:
    async with world.running(recheck_interval_s=5) as app:
        [order] = await world.place(59900)
        await asyncio.sleep(0.1)
        world.venue.passes = lambda _: False
        world.venue.trade(BTC, D("59890.0"), D(1))
        world.venue.passes = lambda _: True
        await asyncio.sleep(11)
        assert (await world.order(order.client_oid)).status is OrderStatus.FILLED
        await world.agree()
        assert world.count("order_events_missed_total") > 0
        # The stream was connected anew, since it may be dead without knowing.
        assert app.stream_status().epoch == 2
        assert app.stream_status().verified


async def test_an_honest_stream_is_left_alone(world: World) -> None:
    async with world.running(recheck_interval_s=1) as app:
        for price in (59900, 59800, 59700):
            await world.place(price)
            world.venue.trade(BTC, D(price - 10), D(1))
            await asyncio.sleep(1.3)
        await asyncio.sleep(30)
        assert app.stream_status().epoch == 1
        assert world.count("order_events_missed_total") == 0
        assert {update.source for update in world.applied} == {UpdateSource.STREAM}
        await world.agree()


@pytest.mark.invariant(29)
async def test_what_the_bus_does_not_take_is_repeated_until_it_does(world: World) -> None:
    async with world.running() as app:
        [order] = await world.place(59900)
        await asyncio.sleep(0.1)
        world.bus.stores = False
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(20)
        told = app.stream_status()
        assert (told.verified, told.reason) == (False, "updates wait for the bus")
        world.bus.stores = True
        await asyncio.sleep(3)
        assert app.stream_status().verified
        assert (await world.order(order.client_oid)).status is OrderStatus.FILLED
        await world.agree()
        stream_ids = [i for i in world.bus.attempts if "execution" in i and "look-up" not in i]
        assert len(stream_ids) > 5
        assert len(set(stream_ids)) == 1


async def test_events_behind_one_that_waits_keep_their_order(world: World) -> None:
    async with world.running():
        world.bus.stores = False
        await world.place(59900)
        world.venue.trade(BTC, D("59890.0"), D("0.004"))
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(1)
        world.bus.stores = True
        await asyncio.sleep(3)
        streamed = [u for u in world.applied if u.source is UpdateSource.STREAM]
        assert [u.status for u in streamed] == [
            OrderStatus.NEW,
            OrderStatus.PARTIALLY_FILLED,
            OrderStatus.FILLED,
        ]


@pytest.mark.invariant(29, 42)
async def test_the_same_news_has_the_same_id(world: World) -> None:
    async with world.running():
        [order] = await world.place(59900)
        await asyncio.sleep(0.1)
        update = world.applied[0]
        again = replace(update, receive_time_ns=update.receive_time_ns + 5)
        for subscription in world.venue._accounts:
            subscription.inbox.put(again)
        await asyncio.sleep(0.1)
        assert len(world.bus.attempts) == 2
        assert len(set(world.bus.attempts)) == 1
        assert [u.client_oid for u in world.applied] == [order.client_oid]


@pytest.mark.invariant(4)
async def test_an_order_that_was_given_up_and_filled_is_taken_back(world: World) -> None:
    async with world.running(recheck_interval_s=5):
        await asyncio.sleep(0.1)
        world.venue.passes = lambda _: False
        [order] = await world.reserve(59900)
        await world.venue.place(order)
        gone = PlacementResult(
            client_oid=order.client_oid,
            status=OrderStatus.NOT_PLACED,
            end_reason=EndReason.NEVER_ARRIVED,
        )
        await world.positions.record("alpha", (gone,))
        world.venue.trade(BTC, D("59890.0"), D(1))
        world.venue.passes = lambda _: True
        await asyncio.sleep(11)
        assert (await world.order(order.client_oid)).status is OrderStatus.FILLED
        await world.agree()


@pytest.mark.invariant(9, 48)
async def test_a_strangers_order_is_told_once_and_never_touched(world: World) -> None:
    async with world.running(recheck_interval_s=2):
        request = OrderRequest(
            symbol=BTC,
            client_order_id="by-hand",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=D("0.5"),
            price=D(59500),
        )
        world.venue.passes = lambda _: False
        world.venue.exchange.place("main", request, now_ns=world.clock.now_ns())
        await asyncio.sleep(30)
        world.venue.trade(BTC, D("59490.0"), D("0.2"))
        await asyncio.sleep(30)
        told = [u for u in world.put_aside if u.client_oid == "by-hand"]
        assert len(told) == 1
        assert world.venue.exchange.accounts["main"].open_orders


async def test_an_order_under_way_is_no_news(world: World) -> None:
    async with world.running(recheck_interval_s=1):
        await world.reserve(59900)  # and never sent
        await asyncio.sleep(10)
        assert world.applied == []
        assert world.count("orders_missing") == 0


async def test_an_open_order_that_the_exchange_lost_is_reported(world: World) -> None:
    async with world.running(recheck_interval_s=1):
        [order] = await world.place(59900)
        await asyncio.sleep(0.1)
        lose_orders(world)
        await asyncio.sleep(3)
        assert world.count("orders_missing") == 1
        # What became of it is not for us to guess.
        assert (await world.order(order.client_oid)).status is OrderStatus.NEW


def lose_orders(world: World) -> None:
    account = world.venue.exchange.accounts["main"]
    account.orders.clear()
    account.open_orders.clear()
    account.latest_ids.clear()


async def test_an_order_that_ended_long_ago_and_is_forgotten_has_ended(world: World) -> None:
    async with world.running(recheck_interval_s=1):
        [order] = await world.place(59900)
        await asyncio.sleep(1)
    lose_orders(world)
    await asyncio.sleep(73 * 3600)
    async with world.running(recheck_interval_s=1):
        await asyncio.sleep(50)
        # Not at once: look-ups may lag, and an exchange that has just come back may know little.
        assert (await world.order(order.client_oid)).status is OrderStatus.NEW
        await asyncio.sleep(30)
        ended = await world.order(order.client_oid)
        assert (ended.status, ended.filled_quantity) == (OrderStatus.CANCELED, 0)
        assert world.count("orders_missing") == 0


async def test_an_order_that_was_seen_open_is_not_forgotten(world: World) -> None:
    async with world.running(recheck_interval_s=5, remembered_hours=1):
        [order] = await world.place(59900)
        await asyncio.sleep(4000)
        lose_orders(world)
        await asyncio.sleep(200)
        assert (await world.order(order.client_oid)).status is OrderStatus.NEW
        assert world.count("orders_missing") == 1


async def test_an_order_of_yesterday_is_not_forgotten(world: World) -> None:
    async with world.running(recheck_interval_s=1):
        [order] = await world.place(59900)
        await asyncio.sleep(1)
    lose_orders(world)
    await asyncio.sleep(24 * 3600)
    async with world.running(recheck_interval_s=1):
        await asyncio.sleep(200)
        assert (await world.order(order.client_oid)).status is OrderStatus.NEW


async def test_a_look_up_that_lags_behind_its_execution_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running(recheck_interval_s=60) as app:
        await world.place(59900)
        await asyncio.sleep(0.1)
        world.venue.disconnect()
        world.venue.trade(BTC, D("59890.0"), D(1))

        async def lags(symbol: str, exchange_order_id: str) -> None:
            return None

        async def unseen(symbol: str, client_oid: str) -> None:
            return None

        with monkeypatch.context() as patch:
            patch.setattr(world.venue, "find_order_by_exchange_id", lags)
            patch.setattr(world.venue, "find_order", unseen)
            world.venue.reconnect()
            await asyncio.sleep(2)
            assert not app.stream_status().verified
            assert "not yet their orders" in app.stream_status().reason
        await asyncio.sleep(3)
        assert app.stream_status().verified
        await world.agree()


async def test_the_position_is_told(world: World) -> None:
    async with world.running():
        await world.place(59900)
        world.venue.trade(BTC, D("59890.0"), D(1))
        await asyncio.sleep(0.1)
        told = [event for name, _, event in world.bus.published if name == "position"]
        assert told[0].cause == "LOOK_UP"
        assert (told[-1].cause, told[-1].position.quantity) == ("ORDER", D("0.010"))


@pytest.mark.invariant(2)
@pytest.mark.parametrize("seed", range(12))
async def test_whatever_goes_wrong_the_books_agree_in_the_end(world: World, seed: int) -> None:
    rng = random.Random(seed)

    def passes(_: AccountEvent) -> bool:
        return rng.random() > 0.2

    price = 60000
    async with world.running(recheck_interval_s=3):
        world.venue.passes = passes
        for _ in range(300):
            await asyncio.sleep(rng.random())
            slots = (await world.grid()).slots
            match rng.randrange(8):
                case 0 | 1:
                    free = [p for p in range(57000, price, 100) if p not in {int(s) for s in slots}]
                    if free and world.venue.reachable:
                        await world.place(rng.choice(free))
                case 2 | 3 | 4:
                    price = rng.randrange(57500, 60000)
                    world.venue.trade(BTC, D(price), D(rng.randrange(1, 30)) / 1000)
                    world.venue.quote(BTC, D(price), D(price) + D("0.1"))
                case 5:
                    orders = (await world.grid()).live_orders()
                    if orders:
                        await world.venue.cancel(rng.choice(orders))
                case 6:
                    world.venue.disconnect()
                    if rng.random() < 0.5:
                        world.venue.reconnect()
                case 7:
                    world.bus.stores = rng.random() > 0.3
                    world.venue.reachable = rng.random() > 0.3
        world.venue.passes = lambda _: True
        world.bus.stores = True
        world.venue.reachable = True
        world.venue.reconnect()
        await asyncio.sleep(40)
        await world.agree()
        assert len(world.venue.exchange.accounts["main"].fills) > 5


async def test_updates_of_a_stopped_service_are_found_by_the_next_one(world: World) -> None:
    for number in range(3):
        async with world.running():
            await world.place(59900 - 100 * number)
            world.bus.stores = False
            world.venue.trade(BTC, D(59890 - 100 * number), D(1))
            await asyncio.sleep(1)
        world.bus.stores = True
    async with world.running():
        await asyncio.sleep(1)
        await world.agree()
