"""The fill model: when a resting client order fills, and how much of it.

The client orders of one side of one market, by price and then by time. They rest beside a market
that is given, and fill only against its trades:

- **Through.** A trade at a price worse for the order than the order's own (below a bid, above an
  ask) fills it, whatever stood ahead: the market cannot get there without trading through.
- **At.** A trade at the order's price, by an aggressor of the other side, first uses up the
  quantity that queues ahead of the order; only what is left of the trade fills it.
- **Bounded.** One trade never fills more than its own quantity, all client orders together. What
  does not fit waits for the next trade, so partial fills happen as they do on an exchange.

The queue ahead is the quantity displayed at the price when the order was placed there. It shrinks
with trades at the price, and with quotes that show less than it (others cancelled). An order behind
the best price does not know its queue until its price becomes the best; then everything displayed
is taken to be ahead of it, which errs on the cautious side. An order better than the best price has
nothing ahead. A quote never fills an order, not even one that crosses it: that fill comes with the
trade that follows.

`MarketRules` can assume otherwise: `touch` says that nothing is ever ahead, or that only trades
through fill; without `bounded` a trade fills the orders that it reaches whole, whatever its size.

Client orders never trade with each other.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from opensqt.core.exchange.rules import MarketRules, Touch
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Side

WHOLE: Final = Decimal("Infinity")
"""At most this much: all of it."""

Take = Callable[[int, Decimal, Decimal], Decimal]
"""Fill an order (id, price, at most this quantity); returns the quantity that it really took."""


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order in the queue of its price."""

    order_id: int
    price: Decimal
    ahead: Decimal | None
    """Market quantity that fills before this order; None while the data does not tell."""


class RestingSide:
    """The resting client orders of one side of one market."""

    __slots__ = ("_bounded", "_levels", "_orders", "_ranks", "_sign", "_touch")

    def __init__(self, side: Side, rules: MarketRules) -> None:
        self._touch = rules.touch
        self._bounded = rules.bounded
        # Ranks sort the best price first: a bid's rank is its negated price.
        self._sign = -side.sign
        self._ranks: list[Decimal] = []
        self._levels: dict[Decimal, list[Resting]] = {}
        self._orders: dict[int, Resting] = {}

    def __len__(self) -> int:
        return len(self._orders)

    @property
    def best(self) -> Decimal | None:
        """The best price of an order here; None when there is none."""
        return self._ranks[0] * self._sign if self._ranks else None

    def reached_at(self, tick: Decimal) -> Decimal | None:
        """The first price at which a trade may matter here; None when there is none."""
        best = self.best
        if best is None or self._touch is not Touch.NEVER:
            return best
        return best + tick * self._sign  # one at the price itself never fills

    def settled(self, displayed: Decimal) -> bool:
        """Tell whether a quote at the best order's price that shows so much changes no queue."""
        if not self._ranks or self._touch is Touch.NEVER:
            return True
        best = self._levels[self._ranks[0]]
        return all(one.ahead is not None and one.ahead <= displayed for one in best)

    def rest(self, order_id: int, price: Decimal, ahead: Decimal | None) -> None:
        """Put an order at the end of the queue of its price."""
        assert order_id not in self._orders, f"order {order_id} rests already"
        if self._touch is Touch.AT_ONCE:
            ahead = ZERO
        resting = Resting(order_id=order_id, price=price, ahead=ahead)
        self._orders[order_id] = resting
        rank = price * self._sign
        level = self._levels.get(rank)
        if level is None:
            insort(self._ranks, rank)
            self._levels[rank] = [resting]
        else:
            level.append(resting)

    def remove(self, order_id: int) -> None:
        """Take an order out of its queue."""
        resting = self._orders.pop(order_id)
        rank = resting.price * self._sign
        level = self._levels[rank]
        level.remove(resting)
        if not level:
            del self._levels[rank]
            del self._ranks[bisect_left(self._ranks, rank)]

    def ahead(self, order_id: int) -> Decimal | None:
        """The quantity that queues ahead of an order; None while it is untold."""
        return self._orders[order_id].ahead

    def trade(self, price: Decimal, quantity: Decimal, *, hits: bool, take: Take) -> None:
        """Let a trade of the market fill what it reaches.

        Args:
            price: The trade's price.
            quantity: The trade's quantity, the bound of all fills together.
            hits: The aggressor was of the other side, so the trade consumes this side's queue.
            take: Fills an order; it may remove orders from this side.
        """
        rank = price * self._sign
        if not self._ranks or self._ranks[0] > rank:
            return
        reached = self._ranks[: bisect_left(self._ranks, rank)]
        left = quantity
        for through in reached:
            for resting in tuple(self._levels.get(through, ())):
                resting.ahead = ZERO
                if left > ZERO or not self._bounded:
                    left -= self._take(resting, left, take)
        if hits and rank in self._levels and self._touch is not Touch.NEVER:
            self._trade_at(rank, left, take)

    def quote(self, best: Decimal, displayed: Decimal) -> None:
        """Let a quote of this side correct the queues: nobody ahead can be more than is shown."""
        rank = best * self._sign
        for mine in self._ranks:
            if mine > rank:
                return
            shown = displayed if mine == rank else ZERO
            for resting in self._levels[mine]:
                if resting.ahead is None or resting.ahead > shown:
                    resting.ahead = shown

    def _trade_at(self, rank: Decimal, left: Decimal, take: Take) -> None:
        consumed = ZERO  # of the market's own queue, by this trade
        for resting in tuple(self._levels[rank]):
            if resting.ahead is None:
                continue
            first = not resting.ahead
            step = min(left, max(resting.ahead - consumed, ZERO))
            consumed += step
            left -= step
            resting.ahead = max(resting.ahead - consumed, ZERO)
            if left > ZERO or (first and not self._bounded):
                left -= self._take(resting, left, take)

    def _take(self, resting: Resting, left: Decimal, take: Take) -> Decimal:
        """Let a trade fill an order; what that takes of the trade."""
        if resting.order_id not in self._orders:
            return ZERO
        if self._bounded:
            return take(resting.order_id, resting.price, left)
        take(resting.order_id, resting.price, WHOLE)
        return ZERO
