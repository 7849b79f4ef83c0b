"""Finding the next trade that matters: what is done for every trade is done here, nowhere else.

Columns are taken by their addresses.
"""

from opensqt.backtest.integer.compiled import part
from opensqt.backtest.integer.tables import flag_at, number_at


@part
def next_beyond(prices: int, start: int, stop: int, low: int, high: int) -> int:
    """The first of some trades at or below `low`, or at or above `high`; else `stop`."""
    for trade in range(start, stop):
        if low < number_at(prices, trade) < high:
            continue
        return trade
    return stop


@part
def next_outside(  # noqa: PLR0917  # the bid is made of two columns
    prices: int, makers: int, start: int, stop: int, low: int, high: int
) -> int:
    """The first of some trades that leave the best bid below `low` or above `high`; else `stop`."""
    for trade in range(start, stop):
        price = number_at(prices, trade)
        if low < price <= high:  # whether it hit the bid or the ask
            continue
        bid = price - (1 - flag_at(makers, trade))
        if bid < low or bid > high:
            return trade
    return stop


@part
def first_from(times: int, start: int, stop: int, time_ns: int) -> int:
    """The first of some trades at or after a time; else `stop`. It is likely to be near `start`."""
    step = 1
    low = start
    while low < stop and number_at(times, min(low + step, stop) - 1) < time_ns:
        low = min(low + step, stop)
        step *= 2
    high = min(low + step, stop)
    while low < high:
        middle = (low + high) // 2
        if number_at(times, middle) < time_ns:
            low = middle + 1
        else:
            high = middle
    return low


@part
def goes_back(numbers: int, count: int, least: int) -> bool:
    """Whether a number is not at least so much more than the one before it."""
    found = False
    for place in range(count - 1):
        found |= number_at(numbers, place + 1) - number_at(numbers, place) < least
    return found
