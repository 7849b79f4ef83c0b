"""What a bot hears of its orders, and what that does to its slots."""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import (
    ANSWERS,
    BUY,
    ENDED,
    FILLS,
    GONE,
    NONE,
    OPEN,
    PENDING,
    RESTING,
    SHORT_OF,
    TAKEN,
)
from opensqt.backtest.integer.tables import letter_at, number_at, order_at, put, slot_at
from opensqt.core.grid.draft import BACKOFF_FIRST_NS, BACKOFF_MAX_NS
from opensqt.core.risk.openings import PAUSE_FIRST_NS, PAUSE_LAST_NS

DOUBLINGS_MAX = 16


@part
def hear(w: Record, kind: int, place: int) -> None:
    """A letter has come to the bot."""
    letter = letter_at(w, kind, place)
    number = letter.order
    if kind == FILLS:
        _hear_fill(w, number, letter.quantity, letter.due_ns)
    elif kind == ANSWERS:
        order, bot = order_at(w, number), w.bot
        if letter.news == TAKEN:
            if order.known == PENDING:
                _hear_taken(w, number, letter.due_ns)
        elif letter.news == GONE:
            _end(w, number)
            slot_at(w, order.level).refusals = 0
        else:
            bot.pending -= 1
            if letter.news == SHORT_OF:
                _pause(w, letter.due_ns)
            _end(w, number)
            slot = slot_at(w, order.level)
            slot.refusals += 1
            doublings = min(slot.refusals - 1, DOUBLINGS_MAX)
            slot.blocked_ns = letter.due_ns + min(BACKOFF_FIRST_NS << doublings, BACKOFF_MAX_NS)
            put(w.blocked, bot.blocked, order.level)
            bot.blocked += 1


@part
def _hear_fill(w: Record, number: int, quantity: int, now_ns: int) -> None:
    bot, order = w.bot, order_at(w, number)
    slot = slot_at(w, order.level)
    signed = quantity * order.side
    order.heard += quantity
    if order.known == PENDING:  # it took, and the answer comes behind
        _hear_taken(w, number, now_ns)
    slot.held += signed
    slot.refusals = 0
    bot.position += signed
    if order.kind == OPEN:
        slot.exit = order.exit
    elif order.side == BUY:
        bot.selling -= quantity
    else:
        bot.buying -= quantity
    if order.heard == order.quantity:
        _end(w, number)


@part
def _hear_taken(w: Record, number: int, now_ns: int) -> None:
    bot, order = w.bot, order_at(w, number)
    order.known = RESTING
    bot.pending -= 1
    if order.kind == OPEN and now_ns >= bot.pause_until:
        bot.pause_next = PAUSE_FIRST_NS


@part
def _pause(w: Record, now_ns: int) -> None:
    """Openings pause, longer with each refusal that comes after a pause: `core.risk.openings`."""
    bot = w.bot
    if now_ns >= bot.pause_until:
        bot.pause_length = bot.pause_next
        bot.pause_next = min(2 * bot.pause_next, PAUSE_LAST_NS)
    bot.pause_until = max(bot.pause_until, now_ns + bot.pause_length)


@part
def _end(w: Record, number: int) -> None:
    """An order has ended; its slot is free, and waits if it holds something."""
    bot, order = w.bot, order_at(w, number)
    slot = slot_at(w, order.level)
    if order.kind == OPEN:
        left = order.quantity - order.heard
        if order.side == BUY:
            bot.buying -= left
        else:
            bot.selling -= left
    order.known = ENDED
    slot.order, slot.blocked_ns = NONE, 0
    slot.cycle += 1
    bot.live -= 1
    bot.doomed -= order.doomed
    _unlink(w, number)
    if order.kind == OPEN:
        bot.openings -= 1
        last = number_at(w.openings, bot.openings)
        put(w.openings, order.place, last)
        order_at(w, last).place = order.place
    if slot.held:
        bot.wait_known = 0
        put(w.waiting, bot.waiting, order.level)
        bot.waiting += 1


@part
def _unlink(w: Record, number: int) -> None:
    bot, order = w.bot, order_at(w, number)
    if order.older == NONE:
        bot.oldest = order.newer
    else:
        order_at(w, order.older).newer = order.newer
    if order.newer == NONE:
        bot.newest = order.older
    else:
        order_at(w, order.newer).older = order.older
