"""The market around the client orders: best prices, last trade, mark, and what a taker finds.

The market is a recording or a generator; it does not react to client orders. Two consequences are
softened here. What a client takes from the best price stays taken until the next quote, so the
same displayed quantity never fills twice. And beyond the best price, of which a recording of best
prices tells nothing, every tick is assumed to hold `MarketRules.assumed_depth`, so that a large
taker pays for its size.

Where the data has trades but no quotes, the best prices are inferred from the trades: a trade that
hit the bid shows where the bid is, and the ask is taken to be one tick above.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.exchange.rules import MarketRules
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTrade:
    """A trade of the market, not of a client."""

    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool
    """The seller was the aggressor: the trade hit the bid."""
    time_ns: int
    trade_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The best bid and ask and the quantities displayed there."""

    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    time_ns: int


class Market:
    """What is known of one market at this moment."""

    __slots__ = ("_mark", "_quoted", "_taken", "last", "quote", "rules")

    def __init__(self, rules: MarketRules) -> None:
        self.rules = rules
        self.quote: Quote | None = None
        self.last: MarketTrade | None = None
        self._mark: Decimal | None = None
        self._quoted = False
        self._taken: dict[tuple[Side, Decimal], Decimal] = {}

    @property
    def mark(self) -> Decimal | None:
        """Mark price: as told, else the last trade, else the middle of the quote."""
        if self._mark is not None:
            return self._mark
        if self.last is not None:
            return self.last.price
        return (self.quote.bid + self.quote.ask) / 2 if self.quote else None

    def set_mark(self, price: Decimal) -> None:
        """Take a mark price from the data; without one the last trade's price serves."""
        self._mark = price

    def show_quote(self, quote: Quote) -> None:
        """Take a quote from the data."""
        self._quoted = True
        self.quote = quote
        self._taken.clear()

    def show_trade(self, trade: MarketTrade) -> Quote | None:
        """Take a trade from the data; the quote it implies, if quotes are not part of the data."""
        self.last = trade
        if self._quoted:
            return None
        tick = self.rules.instrument.tick_size
        bid = trade.price if trade.buyer_is_maker else trade.price - tick
        depth = self.rules.assumed_depth
        self.quote = Quote(
            bid=bid, bid_quantity=depth, ask=bid + tick, ask_quantity=depth, time_ns=trade.time_ns
        )
        self._taken.clear()
        return self.quote

    def displayed_ahead(self, side: Side, price: Decimal) -> Decimal | None:
        """The quantity that an order placed now at `price` queues behind; None if untold.

        At the best price it is what is displayed; inside the spread nothing is ahead; behind the
        best price the data does not tell.
        """
        if self.quote is None:
            return None
        if side is Side.BUY:
            best, displayed = self.quote.bid, self.quote.bid_quantity
        else:
            best, displayed = self.quote.ask, self.quote.ask_quantity
        if price == best:
            return displayed
        inside = price > best if side is Side.BUY else price < best
        return ZERO if inside else None

    def crosses(self, side: Side, price: Decimal) -> bool:
        """A limit order at `price` would fill at once."""
        if self.quote is None:
            return False
        return price >= self.quote.ask if side is Side.BUY else price <= self.quote.bid

    def liquidity(
        self, side: Side, quantity: Decimal, limit: Decimal | None
    ) -> tuple[tuple[Decimal, Decimal], ...]:
        """What an aggressor on `side` would fill now, as (price, quantity), best price first.

        Whole steps only, though more may be displayed.

        Args:
            side: The aggressor's side.
            quantity: How much it wants.
            limit: The worst price it accepts; None for a market order, which accepts any within
                the price band.
        """
        found = []
        for price, available in self._levels(side, limit):
            take = self.rules.instrument.quantity_at_most(min(quantity, available))
            if take > ZERO:
                found.append((price, take))
                quantity -= take
            if quantity <= ZERO:
                break
        return tuple(found)

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note that an aggressor on `side` took `quantity` at `price`."""
        key = (side, price)
        self._taken[key] = self._taken.get(key, ZERO) + quantity

    def _levels(self, side: Side, limit: Decimal | None) -> Iterator[tuple[Decimal, Decimal]]:
        if self.quote is None:
            return
        buying = side is Side.BUY
        tick = self.rules.instrument.tick_size * side.sign
        best = self.quote.ask if buying else self.quote.bid
        worst = best * (1 + self.rules.price_band * side.sign)
        if limit is not None:
            worst = min(worst, limit) if buying else max(worst, limit)
        price = best
        while (price <= worst if buying else price >= worst) and price > ZERO:
            shown = self.quote.ask_quantity if buying else self.quote.bid_quantity
            available = shown if price == best else self.rules.assumed_depth
            yield price, available - self._taken.get((side, price), ZERO)
            price += tick
