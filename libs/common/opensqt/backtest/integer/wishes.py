"""What a grid wants around the price that it has heard: `core.grid.windows`, in whole numbers."""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import (
    BUY,
    CLOSE,
    FAR,
    NONE,
    OPEN,
    SELL,
)
from opensqt.backtest.integer.tables import number_at, slot_at, wish_at


@part
def look(w: Record) -> None:
    """Put the windows around the price; the side that adds to the position steps back."""
    grid, bot = w.grid, w.bot
    cell = (bot.bid - grid.anchor) // grid.interval
    bot.top, bot.bottom = cell, cell + 1
    if grid.skew and bot.position:
        share = min(abs(bot.position), grid.bound) * grid.skew
        levels = (2 * share + grid.bound) // (2 * grid.bound)
        if levels * 2 * grid.bound == 2 * share + grid.bound and levels & 1:
            levels -= 1  # half to even
        if bot.position > 0:
            bot.top -= levels
        else:
            bot.bottom += levels


@part
def collect(w: Record, now_ns: int) -> int:
    """Put what is wanted into the wishes; how many there are."""
    grid, bot = w.grid, w.bot
    count = 0
    far = bot.wait_known and bot.wait_low <= bot.bid <= bot.wait_high
    for place in range(0 if far else bot.waiting):
        count += _closing(w, number_at(w.waiting, place), now_ns, count)
    if bot.pause_until > now_ns:
        return count
    if grid.buys:
        count = _openings(w, BUY, now_ns, count)
    if grid.sells:
        count = _openings(w, SELL, now_ns, count)
    return count


@part
def _closing(w: Record, index: int, now_ns: int, count: int) -> int:
    """The closing order of a slot that holds something; 1 when it is wanted."""
    grid, bot, slot = w.grid, w.bot, slot_at(w, index)
    if slot.blocked_ns > now_ns:
        return 0
    held, bid = slot.held, bot.bid
    if held > 0:
        side, quantity = SELL, held
        price = max(slot.exit, bid + 1)
        away = price - bid - 1
    else:
        side, quantity = BUY, -held
        price = min(slot.exit, bid)
        away = bid - price
    if away > reach_of(w, side) or not grid.least <= quantity <= grid.most:
        return 0
    if price <= 0 or price * quantity < grid.least_notional:
        return 0
    _wish(w, count, away, slot.birth, index, side, CLOSE, price, quantity)
    return 1


@part
def _openings(w: Record, side: int, now_ns: int, count: int) -> int:
    """The opening orders of the free levels of a window, nearest first, up to the bound."""
    grid, bot = w.grid, w.bot
    built = bot.buying if side == BUY else bot.selling
    depth, spacing = depth_of(w, side), bot.spacing
    if side == BUY:
        first = bot.top // spacing * spacing
        count_of = (first - (bot.top - depth) + spacing - 1) // spacing
    else:
        first = -(-bot.bottom // spacing) * spacing
        count_of = (bot.bottom + depth - first + spacing - 1) // spacing
    for step in range(count_of):
        level = first - step * spacing * side
        index = level - grid.base
        slot = slot_at(w, index)
        price = grid.anchor + level * grid.interval
        if occupied(slot, price, now_ns):
            continue
        if grid.bound and built + slot.quantity > grid.bound:
            break
        if not slot.allowed:
            continue
        built += slot.quantity
        away = bot.bid - price if side == BUY else price - bot.bid - 1
        _wish(w, count, max(away, 0), FAR + count, index, side, OPEN, price, slot.quantity)
        count += 1
    return count


@part
def depth_of(w: Record, side: int) -> int:
    """Levels of a side's window, those that the spacing skips included."""
    count = w.grid.buys if side == BUY else w.grid.sells
    return int(count * w.bot.spacing)


@part
def reach_of(w: Record, side: int) -> int:
    """How far from the market a closing order may be."""
    reach = w.grid.buy_reach if side == BUY else w.grid.sell_reach
    return int(reach * w.bot.spacing)


@part
def occupied(slot: Record, price: int, now_ns: int) -> bool:
    """Whether nothing can be opened at a level: it has an order, a holding, a back-off."""
    return slot.held != 0 or slot.order != NONE or slot.blocked_ns > now_ns or price <= 0


@part
def _wish(  # noqa: PLR0917  # what an order is
    w: Record,
    count: int,
    rank: int,
    turn: int,
    level: int,
    side: int,
    kind: int,
    price: int,
    quantity: int,
) -> None:
    """Put an order among the wishes, which are in the order of rank and turn."""
    place = count
    while place > 0 and (
        wish_at(w, place - 1).rank > rank
        or (wish_at(w, place - 1).rank == rank and wish_at(w, place - 1).turn > turn)
    ):
        copy(w, place - 1, place)
        place -= 1
    wish = wish_at(w, place)
    wish.rank, wish.after, wish.turn = rank, 1, turn
    wish.level, wish.side, wish.kind = level, side, kind
    wish.price, wish.quantity = price, quantity


@part
def copy(w: Record, source: int, target: int) -> None:
    """Write one wish where another one is."""
    one, other = wish_at(w, source), wish_at(w, target)
    other.rank, other.after, other.turn = one.rank, one.after, one.turn
    other.level, other.side, other.kind = one.level, one.side, one.kind
    other.price, other.quantity = one.price, one.quantity
