"""What a grid decides: `core.grid.strategy` and `Brain.decide`, in whole numbers.

Whatever it has heard, it looks at its windows and its live orders, sends what is missing and what
is out of place, and looks again until it has nothing to do.
"""

from opensqt.backtest.integer.account import stop
from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.mail import send, set_alarm
from opensqt.backtest.integer.quiet import find_band
from opensqt.backtest.integer.records import (
    BUY,
    CANCEL,
    FAR,
    NONE,
    ON_ITS_WAY,
    OPEN,
    PENDING,
    PLACE,
    REQUESTS,
    RESTING,
    TIED,
)
from opensqt.backtest.integer.tables import number_at, order_at, put, slot_at, wish_at
from opensqt.backtest.integer.wishes import collect, copy, look


@part
def decide(w: Record, now_ns: int) -> None:
    """Decide until there is nothing to decide, and find out until when that lasts."""
    bot = w.bot
    if not bot.heard:
        return
    bot.acted += 1
    if now_ns >= bot.wakes_ns:
        bot.wait_known = 0
    while _decide_once(w, now_ns):
        pass
    _find_wake(w, now_ns)
    find_band(w, now_ns)


@part
def _decide_once(w: Record, now_ns: int) -> int:
    """Decide once, which is at most so many actions; how many there were."""
    grid, bot = w.grid, w.bot
    look(w)
    wanted = collect(w, now_ns)
    bot.wanted = wanted
    keep, leaving = _sort_out(w)
    chosen = wanted
    places = max(0, grid.cap - bot.pending)
    if wanted and wanted + keep > places:
        chosen, leaving = _share_places(w, wanted, places, leaving)
    actions = min(chosen, max(0, grid.cap - bot.live), grid.max_actions)
    for place in range(actions):
        _place(w, place, now_ns)
    for place in range(min(leaving, grid.max_actions - actions)):
        number = number_at(w.leaving, place)
        order_at(w, number).doomed = 1
        bot.doomed += 1
        send(w, REQUESTS, now_ns, number, CANCEL, 0)
        actions += 1
    return int(actions)


@part
def _sort_out(w: Record) -> tuple[int, int]:
    """The resting orders that stay, counted, and those to cancel, nearest to the market first."""
    grid, bot = w.grid, w.bot
    leaving = 0
    above = bot.top - (grid.buys + grid.slack) * bot.spacing
    below = bot.bottom + (grid.sells + grid.slack) * bot.spacing
    bot.farthest_buy, bot.farthest_sell = FAR, -FAR
    for place in range(bot.openings):
        number = number_at(w.openings, place)
        order = order_at(w, number)
        if order.known != RESTING or order.doomed:
            continue
        level = order.level + grid.base
        if order.side == BUY:
            if level <= above:
                leaving = _let_go(w, leaving, number)
            elif level < bot.farthest_buy:
                bot.farthest_buy = level
        elif level >= below:
            leaving = _let_go(w, leaving, number)
        elif level > bot.farthest_sell:
            bot.farthest_sell = level
    return bot.live - bot.pending - bot.doomed - leaving, leaving


@part
def _let_go(w: Record, count: int, number: int) -> int:
    """Put an order among those to cancel: by distance, of two equally far the buy first."""
    away, side = distance(w, number), order_at(w, number).side
    place = count
    while place > 0:
        other = number_at(w.leaving, place - 1)
        its = distance(w, other)
        if its < away or (its == away and order_at(w, other).side > side):
            break
        if its == away and order_at(w, other).side == side:
            stop(w, TIED)  # which comes first depends on their names
        put(w.leaving, place, other)
        place -= 1
    put(w.leaving, place, number)
    return count + 1


@part
def distance(w: Record, number: int) -> int:
    """How far an order is from the market as it was heard."""
    bid, price = w.bot.bid, order_at(w, number).price
    return int(max(bid - price, price - bid - 1, 0))


@part
def _share_places(w: Record, wanted: int, places: int, leaving: int) -> tuple[int, int]:
    """Give the places to the nearest orders: how many of the wanted get one, how many orders go.

    An order that rests counts as nearer by the slack.
    """
    bot, grid = w.bot, w.grid
    slack = grid.slack * bot.spacing * grid.interval
    count = wanted
    above = bot.top - (grid.buys + grid.slack) * bot.spacing
    below = bot.bottom + (grid.sells + grid.slack) * bot.spacing
    number = bot.oldest
    while number != NONE:
        order = order_at(w, number)
        level = order.level + grid.base
        beyond = level <= above if order.side == BUY else level >= below
        if order.known == RESTING and not order.doomed and not (order.kind == OPEN and beyond):
            _compete(w, count, distance(w, number) - slack, number)
            count += 1
        number = order.newer
    chosen = 0
    for place in range(min(places, count)):
        if wish_at(w, place).after:
            copy(w, place, chosen)  # what it overwrites is an order that stays
            chosen += 1
    displaced = 0
    for place in range(places, count):
        if displaced < chosen and not wish_at(w, place).after:
            put(w.leaving, leaving + displaced, wish_at(w, place).level)
            displaced += 1
    return chosen, leaving + displaced


@part
def _compete(w: Record, count: int, rank: int, number: int) -> None:
    """Put an order that rests among the wishes; at the same rank it comes before what is wanted."""
    place = count
    while place > 0:
        other = wish_at(w, place - 1)
        if other.rank < rank or (other.rank == rank and not other.after):
            break
        copy(w, place - 1, place)
        place -= 1
    wish = wish_at(w, place)
    wish.rank, wish.after, wish.turn, wish.level = rank, 0, NONE, number


@part
def _place(w: Record, place: int, now_ns: int) -> None:
    """Send the order of a wish."""
    bot, wish = w.bot, wish_at(w, place)
    slot, number = slot_at(w, wish.level), bot.orders
    order = order_at(w, number)
    bot.orders += 1
    order.level, order.side, order.kind = wish.level, wish.side, wish.kind
    order.cycle, order.price, order.quantity = slot.cycle, wish.price, wish.quantity
    order.decided_ns, order.placed_ns, order.ended_ns = now_ns, NONE, NONE
    order.end, order.filled, order.ahead = ON_ITS_WAY, 0, 0
    order.exit = wish.price + w.grid.interval * bot.spacing * wish.side
    order.known, order.heard, order.doomed = PENDING, 0, 0
    slot.order = number
    if slot.birth == NONE:
        slot.birth = bot.born
        bot.born += 1
    order.older, order.newer = bot.newest, NONE
    if bot.newest == NONE:
        bot.oldest = number
    else:
        order_at(w, bot.newest).newer = number
    bot.newest = number
    bot.live += 1
    bot.pending += 1
    if wish.kind == OPEN:
        order.place = bot.openings
        put(w.openings, order.place, number)
        bot.openings += 1
        if wish.side == BUY:
            bot.buying += wish.quantity
        else:
            bot.selling += wish.quantity
    else:
        bot.wait_known = 0
        found = 0
        while number_at(w.waiting, found) != wish.level:
            found += 1
        bot.waiting -= 1
        put(w.waiting, found, number_at(w.waiting, bot.waiting))
    send(w, REQUESTS, now_ns, number, PLACE, 0)


@part
def _find_wake(w: Record, now_ns: int) -> None:
    """Set an alarm for when the next wait of a slot, or a pause, ends."""
    bot = w.bot
    bot.wakes_ns = FAR
    kept = 0
    for place in range(bot.blocked):
        index = number_at(w.blocked, place)
        until_ns = slot_at(w, index).blocked_ns
        if until_ns > now_ns:
            put(w.blocked, kept, index)
            kept += 1
            bot.wakes_ns = min(bot.wakes_ns, until_ns)
    bot.blocked = kept
    if bot.pause_until > now_ns:
        bot.wakes_ns = min(bot.wakes_ns, bot.pause_until)
    if bot.wakes_ns < FAR and not now_ns < bot.alarm_ns <= bot.wakes_ns:
        bot.alarm_ns = bot.wakes_ns
        set_alarm(w, bot.wakes_ns)
