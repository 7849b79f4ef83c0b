"""Finding the next trade that matters: what is done for every trade is done here, nowhere else."""

from typing import Any

from opensqt.backtest.columns import Ints
from opensqt.backtest.integer.compiled import part


@part
def next_beyond(prices: Ints, start: int, stop: int, low: int, high: int) -> int:
    """The first of some trades at or below `low`, or at or above `high`; else `stop`."""
    for trade in range(start, stop):
        if low < prices[trade] < high:
            continue
        return trade
    return stop


@part
def next_outside(  # noqa: PLR0917  # the bid is made of two columns
    prices: Ints, makers: Any, start: int, stop: int, low: int, high: int
) -> int:
    """The first of some trades that leave the best bid below `low` or above `high`; else `stop`."""
    for trade in range(start, stop):
        price = prices[trade]
        if low < price <= high:  # whether it hit the bid or the ask
            continue
        bid = price - (1 - makers[trade])
        if bid < low or bid > high:
            return trade
    return stop


@part
def first_from(times: Ints, start: int, stop: int, time_ns: int) -> int:
    """The first of some trades at or after a time; else `stop`. It is likely to be near `start`."""
    step = 1
    low = start
    while low < stop and times[min(low + step, stop) - 1] < time_ns:
        low = min(low + step, stop)
        step *= 2
    high = min(low + step, stop)
    while low < high:
        middle = (low + high) // 2
        if times[middle] < time_ns:
            low = middle + 1
        else:
            high = middle
    return low


@part
def goes_back(numbers: Ints, least: int) -> bool:
    """Whether a number is not at least so much more than the one before it."""
    found = False
    for place in range(len(numbers) - 1):
        found |= numbers[place + 1] - numbers[place] < least
    return found
