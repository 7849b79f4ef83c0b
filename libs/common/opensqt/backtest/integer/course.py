"""The course of time: what comes next.

Everything is in the order of `exact.schedule`: by when it is due, by how many events had happened
when it was sent, and by its kind. Trades and prices that change nothing are passed over: the
exchange's as long as they reach no order, the bot's as long as they are in its band.
"""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.finding import first_from, next_beyond, next_outside
from opensqt.backtest.integer.mail import next_alarm
from opensqt.backtest.integer.records import (
    ANSWERS,
    FAR,
    FILLS,
    KINDS,
    REQUESTS,
)
from opensqt.backtest.integer.tables import (
    alarm_at,
    bid_at,
    letter_at,
    maker_at,
    number_at,
    post_at,
    time_at,
)

PHASE_PRICE = 1
PHASE_WAKE = 4
PHASE_EVENT = 9
"""After everything that was sent before it."""
WAKING = KINDS
"""What may come, beside the kinds of mail."""
PRICE = KINDS + 1
EVENT = KINDS + 2
CANDLE = KINDS + 3
NOTHING = KINDS + 4


@part
def phase_of(kind: int) -> int:
    """The place of a kind of mail among what is due at the same time."""
    if kind == FILLS:
        return 0
    if kind == ANSWERS:
        return 2
    if kind == REQUESTS:
        return 3
    return PHASE_WAKE if kind == WAKING else PHASE_PRICE


@part
def comes_before(  # noqa: PLR0917  # two keys
    due: int, happened: int, phase: int, other_due: int, other_happened: int, other_phase: int
) -> bool:
    """Whether one key is smaller than another."""
    if due != other_due:
        return due < other_due
    if happened != other_happened:
        return happened < other_happened
    return phase < other_phase


@part
def settled_before(w: Record, trade_index: int) -> int:
    """How many fundings are settled before a trade."""
    count = w.fundings
    if not count or number_at(w.funding_places, 0) > trade_index:
        return 0
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if number_at(w.funding_places, middle) <= trade_index:
            low = middle + 1
        else:
            high = middle
    return low


@part
def next_letter(w: Record) -> tuple[int, int, int]:
    """The kind, due time and number of events of the mail or alarm that comes first."""
    found, due, happened = NOTHING, FAR, 0
    for kind in range(KINDS):
        post = post_at(w, kind)
        if post.first < post.end:
            letter = letter_at(w, kind, post.first)
            if found == NOTHING or comes_before(
                letter.due_ns, letter.happened, phase_of(kind), due, happened, phase_of(found)
            ):
                found, due, happened = kind, letter.due_ns, letter.happened
    place = next_alarm(w)
    if place >= 0:
        alarm = alarm_at(w, place)
        if found == NOTHING or comes_before(
            alarm.due_ns, alarm.happened, PHASE_WAKE, due, happened, phase_of(found)
        ):
            found, due, happened = WAKING, alarm.due_ns, alarm.happened
    if w.clock.candles < w.candles:
        closed = number_at(w.candle_times, w.clock.candles)
        before = number_at(w.candle_places, w.clock.candles)
        if found == NOTHING or comes_before(
            closed, before, PHASE_PRICE, due, happened, phase_of(found)
        ):
            found, due, happened = CANDLE, closed, before
    return found, due, happened


@part
def passed(  # noqa: PLR0917  # a key
    w: Record, start: int, stop: int, due: int, happened: int, phase: int
) -> int:
    """How many trades have happened before a key, of which `start` had, and no more than `stop`."""
    index = first_from(w.times, start, stop, due)
    while index < stop and time_at(w, index) == due:
        place = index + settled_before(w, index)
        if not comes_before(due, place, PHASE_EVENT, due, happened, phase):
            break
        index += 1
    return index


@part
def heard_before(  # noqa: PLR0917  # a key
    w: Record, delay_ns: int, start: int, stop: int, due: int, happened: int, phase: int
) -> int:
    """How many prices have been heard before a key, of which `start` had, and at most `stop`."""
    index = first_from(w.times, start, stop, due - delay_ns)
    while index < stop and time_at(w, index) + delay_ns == due:
        place = index + 1 + settled_before(w, index)
        if not comes_before(due, place, PHASE_PRICE, due, happened, phase):
            break
        index += 1
    return index


@part
def look_ahead(w: Record) -> None:
    """Look for the next trade and the next price that matter, as far as that is not known."""
    clock, floor = w.clock, w.floor
    if not clock.touch_known:
        stop = min(clock.trades + clock.block, w.trades)
        if clock.fundings < w.fundings:
            stop = min(stop, number_at(w.funding_places, clock.fundings))
        found = next_beyond(w.prices, clock.trades, stop, floor.low, floor.high)
        clock.touch_at, clock.touched, clock.touch_known = found, found < stop, 1
    if not clock.listen_known:
        if clock.listen_at < clock.touch_at:
            clock.listen_at = _next_price(w, clock.listen_at, clock.touch_at)
        clock.listen_known = 1


@part
def _next_price(w: Record, start: int, stop: int) -> int:
    """The first of some prices that the bot may have to decide on; else `stop`."""
    grid, bot = w.grid, w.bot
    limit = stop
    if bot.wakes_ns < FAR:
        # What is heard just when a wait ends is decided on, unless it is what was heard before.
        limit = first_from(w.times, start, stop, bot.wakes_ns - grid.market_ns)
    found = next_outside(w.prices, w.makers, start, limit, bot.low, bot.high)
    if found < limit:
        return found
    while 0 < limit < stop:
        same = number_at(w.prices, limit) == number_at(w.prices, limit - 1)
        if not same or maker_at(w, limit) != maker_at(w, limit - 1):
            return limit
        limit += 1
    return limit


@part
def what_comes(w: Record) -> tuple[int, int, int]:
    """What comes next, when, and how many events had happened when it was sent."""
    clock, grid = w.clock, w.grid
    kind, due, happened = next_letter(w)
    if clock.listen_at < clock.touch_at:
        price_due = time_at(w, clock.listen_at) + grid.market_ns
        price_sent = clock.listen_at + 1 + settled_before(w, clock.listen_at)
        if kind == NOTHING or comes_before(
            price_due, price_sent, PHASE_PRICE, due, happened, phase_of(kind)
        ):
            kind, due, happened = PRICE, price_due, price_sent
    index = clock.touch_at
    settles = is_settled(w)
    if settles or index < w.trades:
        time_ns = number_at(w.funding_times, clock.fundings) if settles else time_at(w, index)
        place = index + clock.fundings
        if kind == NOTHING or comes_before(
            time_ns, place, PHASE_EVENT, due, happened, phase_of(kind)
        ):
            kind, due, happened = EVENT, time_ns, place
    return kind, due, happened


@part
def is_settled(w: Record) -> bool:
    """Whether the exchange's next event is a funding."""
    clock = w.clock
    if clock.touched or clock.fundings == w.fundings:
        return False
    return bool(clock.touch_at == number_at(w.funding_places, clock.fundings))


@part
def pass_over(w: Record, due: int, happened: int, phase: int) -> None:
    """Catch up with what has happened and was heard before a key, and changed nothing."""
    clock, grid, floor = w.clock, w.grid, w.floor
    trades = passed(w, clock.trades, clock.touch_at, due, happened, phase)
    if trades > clock.trades:
        clock.trades = trades
        show(w)
    floor.happened = clock.trades + clock.fundings
    heard = heard_before(w, grid.market_ns, clock.heard, clock.listen_at, due, happened, phase)
    if heard > clock.heard:
        clock.heard = heard
        listen(w)


@part
def show(w: Record) -> None:
    """Let the exchange know the last of the trades that have happened."""
    floor, index = w.floor, w.clock.trades - 1
    floor.last, floor.bid = number_at(w.prices, index), bid_at(w, index)


@part
def listen(w: Record) -> None:
    """Let the bot know the last of the prices that it has heard."""
    bot, index = w.bot, w.clock.heard - 1
    bot.heard = 1
    bot.bid = bid_at(w, index)
