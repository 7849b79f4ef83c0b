"""The rest of the service: symbols, prices, funding, candles."""

import asyncio
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.errors import Refusal
from opensqt.core.events import Candle, FundingUpdate, PriceChange
from opensqt.ports import CANDLES, FUNDING, PRICES, DependencyError
from opensqt.runtime.config import ConfigError
from tests.unit.market_data.world import BTC, World

MINUTE_NS = 60 * 10**9


def price(bid: str) -> PriceChange:
    return PriceChange(
        symbol=BTC,
        last=None,
        bid=D(bid),
        ask=D(bid) + D("0.1"),
        exchange_time_ns=1,
        receive_time_ns=2,
        sequence=1,
    )


def candle(minute: int, close: str = "100", *, closed: bool = True) -> Candle:
    return Candle(
        symbol=BTC,
        open_time_ns=minute * MINUTE_NS,
        interval_s=60,
        open=D(100),
        high=D(100),
        low=D(100),
        close=D(close),
        volume=D(1),
        closed=closed,
    )


async def test_a_symbol_that_is_not_listed_is_refused_with_what_comes_near(world: World) -> None:
    with pytest.raises(ConfigError) as refused:
        await world.app("BTCUSDT", "BTCUSD", "XXX").prepare()
    text = str(refused.value)
    assert "symbols[1] = 'BTCUSD'" in text
    assert "BTCUSDT" in text
    assert "symbols[2] = 'XXX'" in text
    assert "symbols[0]" not in text


async def test_it_waits_for_an_exchange_that_does_not_answer_yet(world: World) -> None:
    world.venue.reachable = False
    preparing = asyncio.create_task(world.app().prepare())
    await asyncio.sleep(10)
    assert not preparing.done()
    world.venue.reachable = True
    await asyncio.sleep(5)
    assert preparing.done()


async def test_prices_go_out_as_they_come(world: World) -> None:
    async with world.running() as app:
        with pytest.raises(DependencyError):
            app.price(BTC)
        world.venue.tell_market(BTC, price("60000.0"))
        await asyncio.sleep(0.01)
        assert world.bus.of(PRICES) == [price("60000.0")]
        assert app.price(BTC) == price("60000.0")
        assert world.count("market_prices_total", symbol=BTC) == 1


async def test_funding_goes_out_and_is_kept(world: World) -> None:
    async with world.running() as app:
        with pytest.raises(DependencyError):
            app.funding(BTC)
        update = FundingUpdate(
            symbol=BTC,
            rate=D("0.0001"),
            settlement_time_ns=5,
            interval_hours=None,
            mark_price=D(60000),
            index_price=None,
            exchange_time_ns=1,
            receive_time_ns=2,
        )
        world.venue.tell_market(BTC, update)
        await asyncio.sleep(0.01)
        assert world.bus.of(FUNDING) == [update]
        assert app.funding(BTC) == update


async def test_a_symbol_that_is_not_followed_is_refused(world: World) -> None:
    async with world.running() as app:
        for ask in (app.price, app.funding, lambda symbol: app.candles(symbol, 5)):
            with pytest.raises(Refusal, match="VALUE_NOT_ALLOWED: symbol 'ETHUSDT'"):
                ask("ETHUSDT")


async def test_the_past_is_loaded_and_the_last_closed_candle_published(world: World) -> None:
    world.venue.past[BTC] = [candle(1), candle(2), candle(3, closed=False)]
    async with world.running() as app:
        assert [c.open_time_ns // MINUTE_NS for c in app.candles(BTC, 10)] == [1, 2, 3]
        assert world.bus.of(CANDLES) == [candle(2)]


async def test_candles_close_on_the_stream(world: World) -> None:
    world.venue.past[BTC] = [candle(1), candle(2, closed=False)]
    async with world.running() as app:
        for event in (
            candle(2, "101", closed=False),
            candle(2, "102"),
            candle(3, "103", closed=False),
        ):
            world.venue.tell_market(BTC, event)
        await asyncio.sleep(0.01)
        assert [c.close for c in app.candles(BTC, 2)] == [D(102), D(103)]
        assert world.bus.of(CANDLES) == [candle(1), candle(2, "102")]
        assert world.count("market_candle_gaps_total", symbol=BTC) == 0


async def test_a_gap_in_the_candles_is_filled(world: World) -> None:
    world.venue.past[BTC] = [candle(1)]
    async with world.running() as app:
        world.venue.past[BTC] = [candle(1), candle(2, "102"), candle(3, "103")]
        world.venue.tell_market(BTC, candle(4, "104", closed=False))
        await asyncio.sleep(0.01)
        assert [c.close for c in app.candles(BTC, 10)] == [D(100), D(102), D(103), D(104)]
        assert world.bus.of(CANDLES) == [candle(1), candle(2, "102"), candle(3, "103")]
        assert world.count("market_candle_gaps_total", symbol=BTC) == 1


async def test_a_candle_that_never_said_that_it_closed_is_looked_up(world: World) -> None:
    world.venue.past[BTC] = [candle(1), candle(2, closed=False)]
    async with world.running() as app:
        world.venue.past[BTC] = [candle(1), candle(2, "102"), candle(3, closed=False)]
        world.venue.tell_market(BTC, candle(3, "103", closed=False))
        await asyncio.sleep(0.01)
        assert app.candles(BTC, 2)[0] == candle(2, "102")
        assert world.bus.of(CANDLES)[-1] == candle(2, "102")


async def test_candles_are_loaded_once_the_exchange_answers(world: World) -> None:
    app = world.app()
    await app.prepare()
    world.venue.reachable = False
    world.venue.past[BTC] = [candle(1)]
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await asyncio.sleep(5)
    assert app.candles(BTC, 10) == ()
    world.venue.reachable = True
    await asyncio.sleep(5)
    assert app.candles(BTC, 10) == (candle(1),)
    stop.set()
    await running


async def test_only_so_many_candles_are_kept(world: World) -> None:
    world.venue.past[BTC] = [candle(n) for n in range(1, 30)]
    async with world.running(candles_kept=5) as app:
        for minute in range(30, 40):
            world.venue.tell_market(BTC, candle(minute))
        await asyncio.sleep(0.01)
        assert [c.open_time_ns // MINUTE_NS for c in app.candles(BTC, 100)] == list(range(35, 40))
        before = app.candles(BTC, 2, before_ns=37 * MINUTE_NS)
        assert [c.open_time_ns // MINUTE_NS for c in before] == [35, 36]


async def test_instruments_are_by_symbol(world: World) -> None:
    async with world.running() as app:
        symbols = [instrument.symbol for instrument in app.instruments()]
        assert symbols == ["BTCUSDC", "BTCUSDT", "ETHUSDT"]


async def test_a_price_that_is_unknown_stays_unknown(world: World) -> None:
    async with world.running() as app:
        world.venue.tell_market(BTC, replace(price("1"), bid=None, ask=None))
        await asyncio.sleep(0.01)
        assert (app.price(BTC).bid, app.price(BTC).ask) == (None, None)
