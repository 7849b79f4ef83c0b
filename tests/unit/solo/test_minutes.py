"""Candles out of trades: each minute once, the silent ones flat."""

from decimal import Decimal as D

from opensqt.core.events import Candle
from opensqt.core.exchange.market import MarketTrade
from opensqt.solo.minutes import MINUTE_NS, Minutes


def trade(price: int, quantity: int = 1) -> MarketTrade:
    return MarketTrade(price=D(price), quantity=D(quantity), buyer_is_maker=True, time_ns=0)


def numbers(candle: Candle) -> tuple[int, ...]:
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return (candle.open_time_ns // MINUTE_NS, *map(int, prices))


def test_candles_close_with_their_minute_and_are_told_once() -> None:
    minutes = Minutes("BTCUSDT")
    assert minutes.until(5 * MINUTE_NS) == ()
    for at_s, price in ((61, 10), (70, 15), (80, 8), (119, 12), (240, 20)):
        closed = minutes.until(at_s * 10**9)
        if at_s < 240:
            assert closed == ()
        minutes.add(trade(price), now_ns=at_s * 10**9)
    assert [numbers(candle) for candle in closed] == [
        (1, 10, 15, 8, 12, 4),
        (2, 12, 12, 12, 12, 0),
        (3, 12, 12, 12, 12, 0),
    ]
    assert all(candle.closed for candle in closed)
    assert minutes.until(240 * 10**9) == ()
    (last,) = minutes.until(5 * MINUTE_NS)
    assert numbers(last) == (4, 20, 20, 20, 20, 1)
