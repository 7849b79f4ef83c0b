"""Candles as trades, along an assumed way: vectors of what `adapters.replay.tables` walks.

A candle does not tell the way of the price within it. `nearest` is the way that the paper exchange
takes, too: open, the nearer of high and low, the other one, close.

The worst way for a grid is the *shortest* one: a rising candle goes to its low first, a falling one
to its high. Either order passes every price between low and high; but only the longer one passes
those between open and close three times instead of once, which gives the grid a round trip more at
each of its levels there, and a round trip is what a grid earns by. That holds for a long, a short
and a neutral grid alike. When open and close are equal both ways are equally long: then a long and
a neutral grid meet the low first and a short one the high, so that the loss comes before the gain.
"""

from enum import StrEnum
from typing import Final

import numpy as np

from opensqt.adapters.replay.tables import STEPS_PER_LEG
from opensqt.backtest.columns import Flags, Ints
from opensqt.core.grid.book import Direction

TRADES_PER_CANDLE: Final = 3 * STEPS_PER_LEG + 1
_BLOCK: Final = 2048
"""Candles that are walked at once: what is computed on the way stays in the processor's cache."""


class CandlePath(StrEnum):
    """Which way the price is assumed to take within a candle."""

    NEAREST = "nearest"
    WORST_LONG = "worst_long"
    WORST_SHORT = "worst_short"
    WORST_NEUTRAL = "worst_neutral"


def worst_path(direction: Direction) -> CandlePath:
    """The worst way for a grid."""
    return CandlePath(f"worst_{direction.value.lower()}")


def turns_of(
    start: Ints, high: Ints, low: Ints, close: Ints, path: CandlePath
) -> tuple[Ints, Ints, Ints, Ints]:
    """The four prices of each candle in the order in which they are met."""
    low_first = _low_first(start, high, low, close, path)
    return start, np.where(low_first, low, high), np.where(low_first, high, low), close


def walk(
    opened_ns: Ints, turns: tuple[Ints, Ints, Ints, Ints], candle_ns: int
) -> tuple[Ints, Ints, Flags]:
    """The trades of the way through the candles.

    Args:
        opened_ns: When each candle began.
        turns: What `turns_of` says, in ticks.
        candle_ns: How long a candle is.

    Returns:
        Time, price in ticks and "buyer is maker" of each trade, `TRADES_PER_CANDLE` a candle.
    """
    count = len(opened_ns)
    prices = np.empty((count, TRADES_PER_CANDLE), dtype=np.int64)
    falling = np.zeros((count, TRADES_PER_CANDLE), dtype=np.bool_)
    for begin in range(0, count, _BLOCK):
        some = slice(begin, begin + _BLOCK)
        _walk_some(prices[some], tuple(turn[some] for turn in turns))
        np.less(prices[some, 1:], prices[some, :-1], out=falling[some, 1:])
    offsets = candle_ns * np.arange(TRADES_PER_CANDLE, dtype=np.int64) // TRADES_PER_CANDLE
    times = opened_ns[:, None] + offsets
    return times.ravel(), prices.ravel(), falling.ravel()


def _walk_some(prices: Ints, turns: tuple[Ints, ...]) -> None:
    for leg in range(3):
        begins, ends = turns[leg], turns[leg + 1]
        prices[:, leg * STEPS_PER_LEG] = begins
        for done in range(1, STEPS_PER_LEG):
            whole = begins * STEPS_PER_LEG + (ends - begins) * done
            prices[:, leg * STEPS_PER_LEG + done] = _rounded(whole)
    prices[:, -1] = turns[3]


def _low_first(start: Ints, high: Ints, low: Ints, close: Ints, path: CandlePath) -> Flags:
    rising = close >= start
    below, above = start - low, high - start
    low_first: Flags
    if path is CandlePath.NEAREST:
        low_first = np.where(rising, below <= above, below < above)
    elif path is CandlePath.WORST_SHORT:
        low_first = close > start
    else:
        low_first = rising
    return low_first


def _rounded(quarters: Ints) -> Ints:
    """A fourth of each, to the nearest whole number, ties to the even one."""
    whole, rest = quarters >> 2, quarters & 3
    rounded: Ints = whole + ((rest == 3) | ((rest == 2) & (whole & 1 == 1)))
    return rounded


assert STEPS_PER_LEG == 4, "`_rounded` divides by four"
