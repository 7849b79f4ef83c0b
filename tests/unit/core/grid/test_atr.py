"""The average true range against figures worked out by hand from Wilder's definition."""

from decimal import Decimal as D

import pytest

from opensqt.core.events import Candle
from opensqt.core.grid.atr import Atr


def candle(minute: int, high: str, low: str, close: str, *, closed: bool = True) -> Candle:
    return Candle(
        symbol="BTCUSDT",
        open_time_ns=minute * 60 * 10**9,
        interval_s=60,
        open=D(low),
        high=D(high),
        low=D(low),
        close=D(close),
        volume=D(1),
        closed=closed,
    )


def test_no_value_before_the_period_is_full() -> None:
    atr = Atr(period=2).after(candle(0, "12", "10", "11"))
    assert atr.value is None
    assert atr.after(candle(1, "13", "11", "12")).value == D(2)


def test_a_gap_counts_from_the_previous_close() -> None:
    atr = Atr(period=1).after(candle(0, "12", "10", "10"))
    assert atr.after(candle(1, "16", "15", "15")).value == D(6)
    assert atr.after(candle(1, "5", "4", "4")).value == D(6)


def test_each_new_range_moves_the_average_by_its_share() -> None:
    atr = Atr(period=4)
    for minute in range(4):
        atr = atr.after(candle(minute, "102", "100", "101"))
    assert atr.value == D(2)
    assert atr.after(candle(4, "106", "100", "101")).value == D(3)  # (3 * 2 + 6) / 4


def test_open_repeated_and_older_candles_change_nothing() -> None:
    atr = Atr(period=1).after(candle(5, "12", "10", "11"))
    for other in (
        candle(6, "99", "1", "2", closed=False),
        candle(5, "99", "1", "2"),
        candle(4, "99", "1", "2"),
    ):
        assert atr.after(other) == atr


def test_a_period_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Atr(period=0)
