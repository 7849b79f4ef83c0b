"""Candles and statistics of the market shown."""

from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import pytest

from opensqt.adapters.replay.tables import read_candles
from opensqt.core.exchange.market import MarketTrade
from services.paper_exchange.market.history import seed_history
from services.paper_exchange.tape import INTERVALS_MS, Candles, Tape, TapedTrade

from .test_generator import INSTRUMENT

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


BUNDLED = Path(__file__).parents[3] / "recordings" / "btcusdt_perp_1m_20250603.csv.gz"


def test_the_past_is_another_time_moved_and_scaled_to_where_the_market_begins() -> None:
    rows = list(read_candles(BUNDLED))
    assert len(rows) == 720
    tape = Tape(INSTRUMENT, assumed_depth=D(1), started_ms=0)
    now_ms = 1_700_000_030_000
    seed_history(tape, rows, now_ms=now_ms, end_at=D(60_000))
    minutes = list(tape.candles["1m"].all)
    assert len(minutes) == 720
    assert minutes[-1].open_ms + 2 * MINUTE > now_ms >= minutes[-1].open_ms + MINUTE
    assert all(two.open_ms - one.open_ms == MINUTE for one, two in pairwise(minutes))
    assert minutes[-1].close == 60_000
    assert all(
        row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        for row in minutes
    )
    change = rows[0].close / rows[-1].close
    assert float(minutes[0].close / minutes[-1].close) == pytest.approx(float(change), rel=1e-4)
    taped = trade(1, 60_001, now_ms)
    assert [closed.volume > 0 for closed in tape.candles["1m"].add(taped)] == [True]
    assert tape.candles["1m"].all[-1].open == 60_001
    assert tape.day is None
    assert len(tape.candles_of("1h").all) in (12, 13)
