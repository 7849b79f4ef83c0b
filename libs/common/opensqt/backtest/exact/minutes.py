"""Closed one-minute candles, built from a tape's trades as an exchange builds them.

A minute without a trade has a flat candle at the last price, as on Binance; there is none before
the first trade, and none of a minute that the data does not reach the end of.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from opensqt.backtest.tape import Tape
from opensqt.core.events import Candle

MINUTE_NS: Final = 60 * 10**9


def closed_minutes(tape: Tape, *, until_ns: int) -> Iterator[Candle]:
    """The tape's one-minute candles that have closed by then, oldest first."""
    trades = tape.trades
    if not len(trades):
        return
    minutes = trades.time_ns // MINUTE_NS
    starts = np.flatnonzero(np.diff(minutes, prepend=minutes[0] - 1))
    ends = np.append(starts[1:], len(trades))
    highs = np.maximum.reduceat(trades.price, starts)
    lows = np.minimum.reduceat(trades.price, starts)
    volumes = np.add.reduceat(trades.quantity, starts)
    expected, close, last = int(minutes[0]), 0, until_ns // MINUTE_NS
    for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        minute = int(minutes[start])
        if minute >= last:
            break
        for silent in range(expected, minute):
            yield _candle(tape, silent, (close, close, close, close), 0)
        close = int(trades.price[end - 1])
        prices = (int(trades.price[start]), int(highs[index]), int(lows[index]), close)
        yield _candle(tape, minute, prices, int(volumes[index]))
        expected = minute + 1
    for silent in range(expected, last):
        yield _candle(tape, silent, (close, close, close, close), 0)


def _candle(tape: Tape, minute: int, prices: tuple[int, int, int, int], volume: int) -> Candle:
    opened, high, low, close = (price * tape.tick for price in prices)
    return Candle(
        symbol=tape.symbol,
        open_time_ns=minute * MINUTE_NS,
        interval_s=60,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume * tape.quantity_unit,
        closed=True,
    )
