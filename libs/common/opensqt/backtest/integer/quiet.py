"""Between which bids a bot that has nothing to do goes on having nothing: as `core.grid.quiet`.

Never wider than what is shown here; where nothing simple can be said it is the present bid alone.
"""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import BUY, FAR, SELL
from opensqt.backtest.integer.tables import number_at, slot_at
from opensqt.backtest.integer.wishes import depth_of, occupied, reach_of

STEPS_MAX = 16
"""Levels that a band reaches beyond the market's own, at most."""


@part
def find_band(w: Record, now_ns: int) -> None:
    """Find the band after a decision to do nothing."""
    grid, bot = w.grid, w.bot
    if bot.wanted:  # there is no place for it, and who has one depends on the distance
        bot.low, bot.high = bot.bid, bot.bid
        return
    up, down = STEPS_MAX, STEPS_MAX
    if grid.buys:
        up = min(up, _steps_on(w, BUY, now_ns))
        down = min(down, _steps_back(w, BUY, now_ns))
    if grid.sells:
        down = min(down, _steps_on(w, SELL, now_ns))
        up = min(up, _steps_back(w, SELL, now_ns))
    cell = (bot.bid - grid.anchor) // grid.interval
    low = grid.anchor + (cell - down) * grid.interval
    high = grid.anchor + (cell + up + 1) * grid.interval - 1
    if not bot.wait_known:
        bot.wait_low, bot.wait_high, bot.wait_known = 0, FAR, 1
        for place in range(bot.waiting):
            _await(w, number_at(w.waiting, place), now_ns)
    bot.low, bot.high = max(low, bot.wait_low), min(high, bot.wait_high)


@part
def _steps_on(w: Record, side: int, now_ns: int) -> int:
    """By how many levels a side's window may move with the market, away from its far end."""
    grid, bot = w.grid, w.bot
    first, room = bot.top if side == BUY else bot.bottom, FAR
    kept = depth_of(w, side) + grid.slack * bot.spacing
    if side == BUY and bot.farthest_buy != FAR:
        room = kept - (first - bot.farthest_buy)
    elif side == SELL and bot.farthest_sell != -FAR:
        room = kept - (bot.farthest_sell - first)
    steps = 0
    # The farthest order must not fall out of the window, slack included.
    while steps < STEPS_MAX and steps + 1 < room:
        if not _nothing_at(w, first + side * (steps + 1), now_ns):
            break
        steps += 1
    return steps


@part
def _steps_back(w: Record, side: int, now_ns: int) -> int:
    """By how many levels it may move toward its far end.

    Under a bound the levels that it gives up must be occupied, too: one that is free may be where
    the bound was reached.
    """
    grid, bot = w.grid, w.bot
    first = bot.top if side == BUY else bot.bottom
    depth = depth_of(w, side)
    steps = 0
    while steps < STEPS_MAX:
        if not _nothing_at(w, first - side * (depth + steps), now_ns):
            break
        if grid.bound and not _nothing_at(w, first - side * steps, now_ns):
            break
        steps += 1
    return steps


@part
def _nothing_at(w: Record, level: int, now_ns: int) -> bool:
    grid = w.grid
    if w.bot.pause_until > now_ns or level % w.bot.spacing:
        return True  # nothing is opened now, or the level is not in use
    index = level - grid.base
    if not 0 <= index < w.grid.levels:
        return False
    return occupied(slot_at(w, index), grid.anchor + level * grid.interval, now_ns)


@part
def _await(w: Record, index: int, now_ns: int) -> None:
    """Leave out the bids at which the closing order of a slot would be placed."""
    grid, bot, slot = w.grid, w.bot, slot_at(w, index)
    quantity = abs(slot.held)
    if slot.blocked_ns > now_ns or not grid.least <= quantity <= grid.most:
        return
    enough = -(-grid.least_notional // quantity)
    if slot.held > 0:
        nearest = slot.exit - reach_of(w, SELL)
        if slot.exit < enough:
            nearest = max(nearest, enough)
        bot.wait_high = min(bot.wait_high, nearest - 2)
    elif slot.exit >= max(enough, 1):
        if bot.bid < enough:
            bot.wait_high = min(bot.wait_high, enough - 1)
        else:
            bot.wait_low = max(bot.wait_low, slot.exit + reach_of(w, BUY) + 1)
