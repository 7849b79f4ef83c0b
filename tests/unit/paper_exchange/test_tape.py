"""Candles and statistics of the market shown."""

from decimal import Decimal as D

import pytest

from opensqt.core.exchange.market import MarketTrade
from services.paper_exchange.tape import INTERVALS_MS, Candles, Tape, TapedTrade

from .test_sources import INSTRUMENT

MINUTE = 60_000


def trade(
    number: int, price: object, at_ms: int, quantity: object = 1, *, maker: bool = False
) -> TapedTrade:
    return TapedTrade(
        trade_id=number,
        price=D(str(price)),
        quantity=D(str(quantity)),
        buyer_is_maker=maker,
        time_ms=at_ms,
    )


def test_a_candle_counts_its_trades() -> None:
    candles = Candles("1m")
    for number, price in enumerate((100, 120, 90, 110)):
        assert candles.add(trade(number, price, MINUTE + number, maker=number % 2 == 1)) == []
    (candle,) = candles.all
    assert (candle.open, candle.high, candle.low, candle.close) == (100, 120, 90, 110)
    assert (candle.volume, candle.quote_volume, candle.trades) == (4, 420, 4)
    assert (candle.taker_buy_volume, candle.taker_buy_quote_volume) == (2, 190)
    assert candle.open_ms == MINUTE


def test_minutes_without_trades_repeat_the_close() -> None:
    candles = Candles("1m")
    candles.add(trade(1, 100, 0))
    closed = candles.add(trade(2, 105, 3 * MINUTE + 5))
    assert [(candle.open_ms, candle.close, candle.volume) for candle in closed] == [
        (0, 100, 1),
        (MINUTE, 100, 0),
        (2 * MINUTE, 100, 0),
    ]
    assert (candles.all[-1].open, candles.all[-1].first_id) == (105, 2)


def test_a_long_silence_is_bounded() -> None:
    candles = Candles("1m")
    candles.add(trade(1, 100, 0))
    assert len(candles.roll(10_000_000 * MINUTE)) < 2000


@pytest.mark.parametrize("interval", list(INTERVALS_MS))
def test_longer_candles_are_the_same_built_from_minutes_or_from_trades(interval: str) -> None:
    tape = Tape(INSTRUMENT, assumed_depth=D(1), started_ms=0)
    live = Candles(interval)
    for number in range(400):
        price, at_ms = 100 + (number * 7) % 13, number * 37_000
        if number % 50 < 40:  # with gaps
            taped = tape.show_trade(
                MarketTrade(
                    price=D(price), quantity=D(1), buyer_is_maker=False, time_ns=0, trade_id=number
                ),
                time_ms=at_ms,
            )
            tape.candles["1m"].add(taped)
            live.add(taped)
    assert list(tape.candles_of(interval).all) == list(live.all)


def test_weeks_begin_on_monday() -> None:
    candles = Candles("1w")
    candles.add(trade(1, 100, 1_700_000_000_000))  # Tuesday 2023-11-14
    assert candles.all[0].open_ms == 1_699_833_600_000  # Monday 2023-11-13
