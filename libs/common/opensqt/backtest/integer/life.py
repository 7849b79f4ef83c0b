"""`Life`: a grid and the market's trades, one after the other; those that change nothing are not.

Nothing is on its way for longer than no time at all here. What happens at a trade happens in the
order of `exact.schedule`: what filled is heard, fill by fill, at the price that was heard before;
then the price is heard; then what was decided is carried out and answered, one by one.
"""

from bisect import bisect_left, bisect_right

from opensqt.backtest.integer.books import Books, Sizes
from opensqt.backtest.integer.mind import Mind
from opensqt.backtest.integer.ordinary import NotOrdinary
from opensqt.backtest.integer.scale import Scale
from opensqt.backtest.integer.search import SEVERAL, Crossings, Prices
from opensqt.backtest.integer.slots import (
    CANCELED,
    END,
    ENDED,
    FILLED,
    ORDER_WIDTH,
    PENDING,
    PLACED,
    REFUSED,
    RESTS,
    Rows,
)
from opensqt.backtest.tape import Tape


class Life:
    """A grid's life.

    Args:
        scale: The grid.
        tape: Its market.
        end_ns: When the data ends: what is due by then still happens.
    """

    def __init__(self, scale: Scale, tape: Tape, *, end_ns: int) -> None:
        self.rows = Rows()
        self.acted = 0
        trades = tape.trades
        self._trades = trades
        self._mind, self._books = Mind(scale, self.rows), Books(scale, Sizes.of(scale, tape))
        self._simple = self._books.simple
        self._anchor, self._interval = scale.anchor, scale.interval
        self._prices, self._makers = trades.price.data, trades.buyer_is_maker.data
        self._quantities = trades.quantity.data
        self._times, self._end_ns = trades.time_ns.data, end_ns
        self._post_only = scale.grid.post_only
        self._search = Prices(trades.price)

    def live(self) -> Rows:
        """Live through all trades.

        Raises:
            NotOrdinary: Something happens that is not done here.
        """
        self._act(0)
        if self._simple:
            self._cross()
        else:
            self._wander(0)
        return self.rows

    def _cross(self) -> None:
        """Go from level to level."""
        crossings = Crossings.of(
            self._trades.price,
            self._trades.buyer_is_maker,
            anchor=self._anchor,
            interval=self._interval,
        )
        at, starts, levels = crossings.at.data, crossings.starts, crossings.level
        starts.append(len(at))
        end = len(self._prices)
        trade = change = run = 0
        while True:
            if self._restless(trade):
                trade = self._wander(trade)
                change = bisect_right(at, trade)
                run = bisect_right(starts, change) - 1
            while change < len(at) and self._quiet_about(levels[run]):
                run += 1
                change = starts[run]
            if change >= len(at) or trade >= end:
                return
            trade = at[change]
            self._act(trade)
            change += 1
            if change == starts[run + 1]:
                run += 1

    def _wander(self, trade: int) -> int:
        """Go from price to price, and wake slots in between, as long as it takes."""
        end = len(self._prices)
        while not self._simple or self._restless(trade):
            wake = self._next_wake()
            trade = min(self._search.next_beyond(trade, *self._bounds()), wake)
            if trade >= end:
                self._wake_until(self._end_ns)
                return end
            self._wake_until(self._times[trade])
            self._act(trade)
        return trade

    def _restless(self, trade: int) -> bool:
        """Whether levels alone do not tell what comes next.

        A closing order or a slot waits, or an order between two levels is beside the market.
        """
        mind = self._mind
        if mind.waiting or mind.blocked:
            return True
        return mind.off > 0 and self._beside(trade)

    def _next_wake(self) -> int:
        """The trade before which the next slot that waits is woken."""
        if not self._mind.blocked:
            return len(self._prices)
        first = min(slot.blocked_ns for slot in self._mind.blocked)
        return bisect_left(self._times, first)

    def _wake_until(self, time_ns: int) -> None:
        mind = self._mind
        while mind.blocked:
            now_ns = min(slot.blocked_ns for slot in mind.blocked)
            if now_ns > time_ns:
                return
            before = bisect_left(self._times, now_ns) - 1
            mind.pass_price(self._prices[before] - (not self._makers[before]))
            moment = self.rows.moment(before, now_ns)
            mind.wake(moment, now_ns)
            self._carry_out(moment, now_ns)

    def _beside(self, trade: int) -> bool:
        """Whether an order is between the two levels between which the market is."""
        cell = (self._prices[trade] - self._anchor) // self._interval
        return self._touches(self._anchor + cell * self._interval, self._interval)

    def _touches(self, low: int, width: int) -> bool:
        """Whether an order lies above a price by less than a width."""
        books = self._books
        if books.bids and books.bids[-1][0] > low:
            return True
        return bool(books.asks) and -books.asks[-1][0] < low + width

    def _quiet_about(self, level: int) -> bool:
        """Whether nothing happens while the market is about a level, near which it is."""
        if level == SEVERAL:
            return False
        interval, books = self._interval, self._books
        price = self._anchor + level * interval
        if books.bids and books.bids[-1][0] > price - interval:
            return False
        if books.asks and -books.asks[-1][0] < price + interval:
            return False
        return self._mind.quiet_about(level)

    def _bounds(self) -> tuple[int, int]:
        """The prices between which nothing happens."""
        mind, books = self._mind, self._books
        anchor, interval = self._anchor, self._interval
        below, above = mind.quiet_cells()
        low, high = anchor + below * interval, anchor + (above + 1) * interval
        book_low, book_high = books.near
        wait_low, wait_high = mind.awaited()
        return max(low, book_low, wait_low), min(high, book_high, wait_high)

    def _act(self, trade: int) -> None:
        self.acted += 1
        price, mind = self._prices[trade], self._mind
        if self._simple:
            filled = self._books.through(price)
        else:
            filled = self._books.trade(
                price, hits_bid=bool(self._makers[trade]), quantity=self._quantities[trade]
            )
        if filled:
            orders, fills = self.rows.orders, self.rows.fills
            mind.pass_price(self._prices[trade - 1] - (not self._makers[trade - 1]))
            for slot, quantity in filled:
                fills.extend((slot.number, trade, quantity))
                if not slot.left:
                    row = slot.number * ORDER_WIDTH
                    orders[row + ENDED] = trade
                    orders[row + END] = FILLED
            for slot, quantity in filled:
                mind.hear_fill(slot, quantity, trade)
        mind.hear_price(price - (not self._makers[trade]), trade)
        if mind.requests:
            self._carry_out(trade, self._times[trade])

    def _carry_out(self, at: int, now_ns: int) -> None:
        mind, books, orders = self._mind, self._books, self.rows.orders
        bid = mind.bid
        for slot in mind.requests:  # which grows on the way
            row = slot.number * ORDER_WIDTH
            if slot.state == PENDING:
                if slot.price > bid if slot.side > 0 else slot.price <= bid:
                    if not self._post_only:
                        raise NotOrdinary("an order takes liquidity")
                    orders[row + ENDED] = at
                    orders[row + END] = REFUSED
                    mind.hear_refused(slot, at, now_ns)
                    continue
                orders[row + PLACED] = at
                orders[row + END] = RESTS
                books.rest(slot, bid)
                mind.hear_placed(slot)
            else:
                books.remove(slot)
                orders[row + ENDED] = at
                orders[row + END] = CANCELED
                mind.hear_canceled(slot, at)
        mind.requests.clear()
