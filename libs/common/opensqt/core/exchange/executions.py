"""Carrying out: fills, endings and the queues, each booked the moment it happens."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import count

from opensqt.core.exchange.account import Account, round_money
from opensqt.core.exchange.book import RestingSide
from opensqt.core.exchange.events import AccountChanged, AccountReason, Event, OrderChanged
from opensqt.core.exchange.market import Market, MarketTrade, Quote
from opensqt.core.exchange.orders import Change, Fill, Order, TimeInForce
from opensqt.core.exchange.untouched import Untouched
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Side


class Executions:
    """The resting orders of all markets and the only way in which an order fills or ends."""

    def __init__(self, markets: Mapping[str, Market], *, first_trade_id: int) -> None:
        self._markets = markets
        self._resting = {
            symbol: {side: RestingSide(side, market.rules) for side in Side}
            for symbol, market in markets.items()
        }
        self._owners: dict[int, Account] = {}  # of the resting orders
        self._trade_ids = count(first_trade_id)

    def work(self, owner: Account, order: Order, *, now_ns: int) -> list[Event]:
        """Let an accepted order take what it can; what is left of it rests or expires."""
        events: list[Event] = []
        market = self._markets[order.symbol]
        wanted = self._allowed(owner, order, order.remaining)
        for price, quantity in market.liquidity(order.side, wanted, order.price):
            order = owner.orders[order.order_id]
            market.take(order.side, price, quantity)
            events += self.fill(owner, order, price, quantity, maker=False, now_ns=now_ns)
        order = owner.orders[order.order_id]
        if not order.open:
            return events
        if order.price is None or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            events.append(self.end(owner, order, Change.EXPIRED, now_ns=now_ns))
            return events
        ahead = market.displayed_ahead(order.side, order.price)
        self._resting[order.symbol][order.side].rest(order.order_id, order.price, ahead)
        self._owners[order.order_id] = owner
        return events

    def fill(
        self,
        owner: Account,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        *,
        maker: bool,
        now_ns: int,
        fee_rate: Decimal | None = None,
        change: Change = Change.TRADE,
    ) -> list[Event]:
        """Book one fill: order, position, profit, fee."""
        rules = self._markets[order.symbol].rules
        if fee_rate is None:
            fee_rate = rules.fees.maker if maker else rules.fees.taker
        before = owner.position(order.symbol)
        position, realised = before.traded(quantity * order.side.sign, price)
        filled = order.filled(price=price, quantity=quantity, now_ns=now_ns)
        fill = Fill(
            trade_id=next(self._trade_ids),
            order_id=order.order_id,
            account=owner.name,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            maker=maker,
            fee=round_money(price * quantity * fee_rate),
            realised=realised,
            time_ns=now_ns,
        )
        assert not order.reduce_only or abs(position.quantity) < abs(before.quantity)
        owner.keep(filled)
        owner.book_fill(fill, position)
        if not filled.open:
            self._unrest(filled)
        events: list[Event] = [
            AccountChanged(
                account=owner.name,
                reason=AccountReason.ORDER,
                wallet=owner.wallet,
                balance_change=ZERO,
                symbol=order.symbol,
                position=position,
                time_ns=now_ns,
            ),
            OrderChanged(change=change, order=filled, fill=fill, time_ns=now_ns),
        ]
        if position.quantity * before.quantity <= ZERO:
            events += self._expire_reduce_only(owner, order.symbol, now_ns=now_ns)
        return events

    def end(self, owner: Account, order: Order, change: Change, *, now_ns: int) -> OrderChanged:
        """Cancel or expire an open order."""
        ended = order.ended(change, now_ns=now_ns)
        owner.keep(ended)
        self._unrest(ended)
        return OrderChanged(change=change, order=ended, fill=None, time_ns=now_ns)

    def withdraw(self, order: Order) -> None:
        """Take a resting order out of its queue, for it to be worked anew."""
        self._unrest(order)

    def queue_ahead(self, order: Order) -> Decimal | None:
        """The market quantity that fills before a resting order; None while it is untold."""
        return self._resting[order.symbol][order.side].ahead(order.order_id)

    def untouched(self, symbol: str) -> Untouched:
        """Between which prices a market's events touch no order."""
        bids, asks = self._resting[symbol][Side.BUY], self._resting[symbol][Side.SELL]
        rules = self._markets[symbol].rules
        tick, depth = rules.instrument.tick_size, rules.assumed_depth
        return Untouched(
            above=bids.reached_at(tick),
            below=asks.reached_at(tick),
            settled=bids.settled(depth) and asks.settled(depth),
        )

    def quote(self, symbol: str, quote: Quote) -> None:
        """Correct the queues by a quote."""
        resting = self._resting[symbol]
        resting[Side.BUY].quote(quote.bid, quote.bid_quantity)
        resting[Side.SELL].quote(quote.ask, quote.ask_quantity)

    def trade(self, symbol: str, trade: MarketTrade, *, now_ns: int) -> list[Event]:
        """Fill the resting orders that a trade of the market reaches."""
        events: list[Event] = []

        def take(order_id: int, price: Decimal, at_most: Decimal) -> Decimal:
            owner = self._owners[order_id]
            order = owner.orders[order_id]
            quantity = self._allowed(owner, order, min(at_most, order.remaining))
            if quantity > ZERO:
                events.extend(self.fill(owner, order, price, quantity, maker=True, now_ns=now_ns))
            return quantity

        for side, resting in self._resting[symbol].items():
            if len(resting):
                hits = trade.buyer_is_maker is (side is Side.BUY)
                resting.trade(trade.price, trade.quantity, hits=hits, take=take)
        return events

    def _allowed(self, owner: Account, order: Order, quantity: Decimal) -> Decimal:
        """What may fill of `quantity`: whole steps, and reduce-only no more than is held."""
        if order.reduce_only:
            held = -owner.position(order.symbol).quantity * order.side.sign
            quantity = min(quantity, max(held, ZERO))
        return self._markets[order.symbol].rules.instrument.quantity_at_most(quantity)

    def _expire_reduce_only(self, owner: Account, symbol: str, *, now_ns: int) -> list[Event]:
        """Expire the reduce-only orders that have nothing left to reduce."""
        held = owner.position(symbol).quantity
        return [
            self.end(owner, order, Change.EXPIRED, now_ns=now_ns)
            for order in tuple(owner.open_orders.values())
            if order.symbol == symbol and order.reduce_only and held * order.side.sign >= ZERO
        ]

    def _unrest(self, order: Order) -> None:
        if self._owners.pop(order.order_id, None):
            self._resting[order.symbol][order.side].remove(order.order_id)
