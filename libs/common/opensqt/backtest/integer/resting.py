"""The orders that rest on the exchange, and what fills them, as `core.exchange.book` has it.

The bids first, each side by price and then by time; by trades that go through an order's price, and
by trades at it as far as `MarketRules` assumes. Quantities of the market are counted in sizes.
"""

from opensqt.backtest.integer.account import (
    affords,
    book_fill,
    count_notional,
    find_loss,
    stop,
)
from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.mail import send
from opensqt.backtest.integer.records import (
    ANSWERS,
    AT_ONCE,
    BUY,
    CANCELED,
    FAR,
    FILLED,
    FILLS,
    GONE,
    LOST,
    NEVER,
    NOT_TAKEN,
    PLACE,
    QUEUE,
    REFUSED,
    RESTS,
    SELL,
    SHORT_OF,
    TAKEN,
    UNTOLD,
)
from opensqt.backtest.integer.tables import number_at, order_at, put


@part
def carry_out(w: Record, number: int, news: int, now_ns: int) -> None:
    """A request has come."""
    order = order_at(w, number)
    if news == PLACE:
        _place(w, number, now_ns)
    elif order.end == RESTS:  # else it has ended, and news of that is on its way
        _remove(w, number)
        order.end, order.ended_ns = CANCELED, now_ns
        count_notional(w, number, order.filled - order.quantity)
        send(w, ANSWERS, now_ns, number, GONE, 0)
        find_reach(w)


@part
def _place(w: Record, number: int, now_ns: int) -> None:
    order = order_at(w, number)
    refusal = _refusal(w, number)
    if refusal:
        order.end, order.ended_ns = REFUSED, now_ns
        send(w, ANSWERS, now_ns, number, refusal, 0)
        return
    order.end, order.placed_ns = RESTS, now_ns
    count_notional(w, number, order.quantity)
    if _crosses(w, number):
        _take(w, number, now_ns)
    if order.end == RESTS:
        _rest(w, number)
    send(w, ANSWERS, now_ns, number, TAKEN, 0)
    find_reach(w)


@part
def _refusal(w: Record, number: int) -> int:
    """Why the exchange does not take an order, as `core.exchange.checks` asks; 0: it does."""
    grid, floor, order = w.grid, w.floor, order_at(w, number)
    if order.side == BUY:
        highest = floor.last * (grid.band_whole + grid.band) // grid.band_whole
        too_far = order.price > highest
    else:
        lowest = -(-floor.last * (grid.band_whole - grid.band) // grid.band_whole)
        too_far = order.price < lowest
    if too_far:
        return NOT_TAKEN
    if floor.bids + floor.asks >= grid.orders_max:
        return SHORT_OF
    if grid.post_only and _crosses(w, number):
        return NOT_TAKEN
    if not affords(w, number):
        return SHORT_OF
    return 0


@part
def _crosses(w: Record, number: int) -> bool:
    order, bid = order_at(w, number), w.floor.bid
    if order.side == BUY:
        return bool(order.price > bid)
    return bool(order.price <= bid)


@part
def _take(w: Record, number: int, now_ns: int) -> None:
    """Let an order take what the market is assumed to have, tick by tick, as far as its price.

    What was taken since the last trade is gone; and since orders begin at the best price, a count
    says which that is.
    """
    grid, floor, order = w.grid, w.floor, order_at(w, number)
    each = grid.depth // grid.step_size
    if floor.taken_at != w.clock.trades:
        floor.bought, floor.sold, floor.taken_at = 0, 0, w.clock.trades
    side = order.side
    best = floor.bid + 1 if side == BUY else floor.bid
    gone = floor.bought if side == BUY else floor.sold
    while each and order.filled < order.quantity:
        price = best + gone // each * side
        if (price - order.price) * side > 0:
            break
        steps = min(each - gone % each, order.quantity - order.filled)
        gone += steps
        order.filled += steps
        count_notional(w, number, -steps)
        book_fill(w, number, now_ns, price, steps, 0)
        if order.filled == order.quantity:
            order.end, order.ended_ns = FILLED, now_ns
        send(w, FILLS, now_ns, number, 0, steps)
    if side == BUY:
        floor.bought = gone
    else:
        floor.sold = gone
    find_loss(w)


@part
def _rest(w: Record, number: int) -> None:
    """Put an order behind those at its price."""
    grid, floor, order = w.grid, w.floor, order_at(w, number)
    side = order.side
    book, count = _side_of(w, side)
    key = order.price * side
    place = count
    while place > 0 and order_at(w, number_at(book, place - 1)).price * side >= key:
        put(book, place, number_at(book, place - 1))
        place -= 1
    put(book, place, number)
    _set_count(w, side, count + 1)
    order.ahead = 0
    if grid.touch == QUEUE:
        best = floor.bid if side == BUY else floor.bid + 1
        if key == best * side:
            order.ahead = grid.depth
        elif key < best * side:  # behind the best price the data does not tell
            order.ahead = UNTOLD


@part
def _remove(w: Record, number: int) -> None:
    side = order_at(w, number).side
    book, count = _side_of(w, side)
    place = 0
    while number_at(book, place) != number:
        place += 1
    for later in range(place + 1, count):
        put(book, later - 1, number_at(book, later))
    _set_count(w, side, count - 1)


@part
def _side_of(w: Record, side: int) -> tuple[int, int]:
    """Where the orders of a side are, and how many."""
    if side == BUY:
        return w.bids, w.floor.bids
    return w.asks, w.floor.asks


@part
def _set_count(w: Record, side: int, count: int) -> None:
    if side == BUY:
        w.floor.bids = count
    else:
        w.floor.asks = count


@part
def trade(w: Record, price: int, quantity: int, maker: int, now_ns: int) -> None:
    """Let a trade of so many units of the tape happen; `maker` 1: it hit the bid."""
    grid, floor = w.grid, w.floor
    if price <= floor.lost_below or price >= floor.lost_above:
        stop(w, LOST)
        return
    fills = floor.fills
    size = quantity * grid.unit_size
    if grid.touch == QUEUE:
        _correct(w, BUY)
        _correct(w, SELL)
    _trade_side(w, BUY, price, size, maker, now_ns)
    _trade_side(w, SELL, price, size, 1 - maker, now_ns)
    if floor.fills > fills:
        find_loss(w)
        find_reach(w)


@part
def _correct(w: Record, side: int) -> None:
    """Nobody ahead can be more than is shown."""
    grid, floor = w.grid, w.floor
    best = floor.bid if side == BUY else -(floor.bid + 1)
    book, count = _side_of(w, side)
    for place in range(count - 1, -1, -1):
        order = order_at(w, number_at(book, place))
        key = order.price * side
        if key < best:
            return
        shown = grid.depth if key == best else 0
        if order.ahead == UNTOLD or order.ahead > shown:
            order.ahead = shown


@part
def _trade_side(  # noqa: PLR0917  # what a trade is
    w: Record, side: int, price: int, size: int, hits: int, now_ns: int
) -> None:
    grid = w.grid
    book, count = _side_of(w, side)
    key = price * side
    left, consumed = size, 0
    place = count - 1
    filled = 0
    while place >= 0:
        number = number_at(book, place)
        order = order_at(w, number)
        own = order.price * side
        reached = own > key
        first = True
        if reached:
            order.ahead = 0
        elif own < key or not hits or grid.touch == NEVER:
            break
        elif order.ahead != UNTOLD:
            reached = True
            first = order.ahead == 0
            step = min(left, max(order.ahead - consumed, 0))
            consumed += step
            left -= step
            order.ahead = max(order.ahead - consumed, 0)
        if reached and (left > 0 or (first and not grid.bounded)):
            left -= _fill(w, number, left, now_ns)
            filled += order.end == FILLED
        place -= 1
    if filled:
        kept = place + 1
        for old in range(place + 1, count):
            if order_at(w, number_at(book, old)).end != FILLED:
                put(book, kept, number_at(book, old))
                kept += 1
        _set_count(w, side, kept)


@part
def _fill(w: Record, number: int, left: int, now_ns: int) -> int:
    """Let a trade fill an order; what that takes of the trade."""
    grid, order = w.grid, order_at(w, number)
    steps = order.quantity - order.filled
    if grid.bounded:
        steps = min(left // grid.step_size, steps)
    if not steps:
        return 0
    order.filled += steps
    count_notional(w, number, -steps)
    book_fill(w, number, now_ns, order.price, steps, 1)
    if order.filled == order.quantity:
        order.end, order.ended_ns = FILLED, now_ns
    send(w, FILLS, now_ns, number, 0, steps)
    return steps * grid.step_size if grid.bounded else 0


@part
def find_reach(w: Record) -> None:
    """Find the prices at or beyond which a trade may change something."""
    grid, floor = w.grid, w.floor
    margin = 1
    if grid.touch == NEVER:
        margin = -1
    elif grid.touch == AT_ONCE:
        margin = 0
    low, high = 0, FAR
    if floor.bids:
        low = order_at(w, number_at(w.bids, floor.bids - 1)).price + margin
    if floor.asks:
        high = order_at(w, number_at(w.asks, floor.asks - 1)).price - margin
    floor.low, floor.high = max(low, floor.lost_below), min(high, floor.lost_above)
