"""The life of a grid on a market, from the first trade to the last: the loop that all runs in."""

from opensqt.backtest.integer.account import pay_funding
from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.course import (
    CANDLE,
    EVENT,
    NOTHING,
    PHASE_PRICE,
    PRICE,
    WAKING,
    is_settled,
    listen,
    look_ahead,
    pass_over,
    phase_of,
    show,
    what_comes,
)
from opensqt.backtest.integer.deciding import decide
from opensqt.backtest.integer.finding import goes_back
from opensqt.backtest.integer.hearing import hear
from opensqt.backtest.integer.mail import drop_alarm, next_alarm
from opensqt.backtest.integer.records import BACK, CROWDED, FINE, REQUESTS
from opensqt.backtest.integer.resting import carry_out, find_reach, trade
from opensqt.backtest.integer.room import lacks_room
from opensqt.backtest.integer.tables import (
    letter_at,
    maker_at,
    number_at,
    post_at,
    time_at,
    world_at,
)

FIRST_BLOCK = 256
LARGEST_BLOCK = 8192
"""Trades that are looked through before anything else is looked at."""


def live(address: int) -> None:
    """Live through a market, as far as there is room; `machine` compiles it.

    Args:
        address: Where the world is.
    """
    w = world_at(address)
    if not w.clock.block:
        w.clock.block = FIRST_BLOCK
        if _goes_back(w):
            w.floor.status = BACK
    while w.floor.status == FINE:
        if lacks_room(w):
            w.floor.status = CROWDED
            return
        look_ahead(w)
        kind, due_ns, happened = what_comes(w)
        if kind == NOTHING or due_ns > w.grid.end_ns:
            return
        if kind == EVENT:
            _happen(w)
        elif kind == PRICE:
            _hear_price(w, due_ns, happened)
        else:
            _deliver(w, kind, due_ns, happened)


@part
def _goes_back(w: Record) -> bool:
    """Whether the trades are not in the order of their times and rows."""
    return goes_back(w.times, w.trades, 0) or goes_back(w.rows, w.trades, 1)


@part
def _happen(w: Record) -> None:
    """Let the next trade or funding happen; or none of them, when nothing was found so far."""
    clock, floor = w.clock, w.floor
    index = clock.touch_at
    if clock.touch_at > clock.trades:
        clock.trades = index
        show(w)
    if clock.touched:
        clock.trades = index + 1
        show(w)
        floor.happened = clock.trades + clock.fundings
        trade(
            w,
            number_at(w.prices, index),
            number_at(w.quantities, index),
            maker_at(w, index),
            time_at(w, index),
        )
    elif is_settled(w):
        funding = clock.fundings
        clock.fundings += 1
        pay_funding(w, number_at(w.funding_times, funding), number_at(w.funding_rates, funding))
        find_reach(w)
    else:
        clock.block = min(clock.block * 4, LARGEST_BLOCK)
    clock.touch_known = clock.listen_known = 0


@part
def _hear_price(w: Record, due_ns: int, happened: int) -> None:
    clock = w.clock
    pass_over(w, due_ns, happened, PHASE_PRICE)
    clock.heard = clock.listen_at + 1
    listen(w)
    _decide(w, due_ns)


@part
def _decide(w: Record, now_ns: int) -> None:
    clock = w.clock
    decide(w, now_ns)
    clock.listen_at, clock.listen_known = clock.heard, 0
    clock.block = FIRST_BLOCK


@part
def _hear_candle(w: Record) -> None:
    bot, clock = w.bot, w.clock
    bot.spacing = number_at(w.candle_spacings, clock.candles)
    bot.wait_known = 0
    clock.candles += 1


@part
def _deliver(w: Record, kind: int, due_ns: int, happened: int) -> None:
    """Let a letter come, or an alarm ring."""
    pass_over(w, due_ns, happened, phase_of(kind))
    if kind == WAKING:
        drop_alarm(w, next_alarm(w))
        _decide(w, due_ns)
        return
    if kind == CANDLE:
        _hear_candle(w)
        _decide(w, due_ns)
        return
    post = post_at(w, kind)
    place = post.first
    post.first += 1
    if kind == REQUESTS:
        letter = letter_at(w, kind, place)
        carry_out(w, letter.order, letter.news, due_ns)
        w.clock.touch_known = 0
    else:
        hear(w, kind, place)
        _decide(w, due_ns)
