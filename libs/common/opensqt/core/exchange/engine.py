"""The simulated exchange: commands and market data in, events out.

It owns the accounts, the markets and the resting orders, and is the only code that changes them.
Every command is complete when it returns: either it was refused and nothing changed, or all of its
effects are in the books and in the events. Times are nanoseconds and never go back; they are the
caller's, so a recording, a wall clock and a virtual clock drive it alike.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import count

from opensqt.core.events import Forced
from opensqt.core.exchange.account import Account, Payment, round_money
from opensqt.core.exchange.checks import check_amend, check_place
from opensqt.core.exchange.events import (
    AccountChanged,
    AccountReason,
    Event,
    OrderChanged,
    OrderRefused,
    Refused,
)
from opensqt.core.exchange.executions import Executions
from opensqt.core.exchange.forced import close_position, liquidate
from opensqt.core.exchange.margin import Margin, account_margin, equity_and_maintenance
from opensqt.core.exchange.market import Market, MarketTrade, Quote
from opensqt.core.exchange.orders import Change, Order, OrderRequest
from opensqt.core.exchange.rules import MarketRules, RuleBroken
from opensqt.core.exchange.untouched import Solvent, Untouched, solvent


class SimulatedExchange:
    """An exchange with any number of markets and accounts.

    Args:
        markets: The markets that it lists.
        first_order_id: Where order ids begin; they grow by one.
        first_trade_id: Where the ids of client fills begin; they grow by one.
    """

    def __init__(
        self,
        markets: Iterable[MarketRules],
        *,
        first_order_id: int = 1,
        first_trade_id: int = 1,
    ) -> None:
        self.markets = {rules.instrument.symbol: Market(rules) for rules in markets}
        self.accounts: dict[str, Account] = {}
        self._executions = Executions(self.markets, first_trade_id=first_trade_id)
        self._next_order_id = first_order_id
        self._payment_ids = count(1)

    # --- accounts --------------------------------------------------------------------------------

    def open_account(self, name: str, *, deposit: Decimal) -> Account:
        """Open an account with a deposit in quote."""
        assert name not in self.accounts, f"account {name} exists"
        self.accounts[name] = Account(name=name, deposit=deposit)
        return self.accounts[name]

    def margin(self, account: str) -> Margin:
        """The account's margin at the current mark prices."""
        return account_margin(self.accounts[account], self.markets)

    def set_leverage(self, account: str, symbol: str, leverage: int) -> OrderRefused | None:
        """Set the leverage of a symbol; the refusal, if it was refused."""
        market, owner = self.markets.get(symbol), self.accounts[account]
        if market is None:
            return _refusal(account, symbol, RuleBroken(Refused.SYMBOL, "a listed symbol"))
        if not 1 <= leverage <= market.rules.max_leverage:
            allowed = f"1 to {market.rules.max_leverage}"
            return _refusal(account, symbol, RuleBroken(Refused.LEVERAGE, allowed))
        before = owner.leverage_of(symbol)
        owner.leverage[symbol] = leverage
        margin = self.margin(account)
        if leverage < before and margin.initial > margin.equity:
            owner.leverage[symbol] = before
            return _refusal(account, symbol, RuleBroken(Refused.LEVERAGE_MARGIN, f"from {before}"))
        return None

    # --- orders ----------------------------------------------------------------------------------

    def place(self, account: str, request: OrderRequest, *, now_ns: int) -> tuple[Event, ...]:
        """Place an order: refused, or accepted and filled as far as the market allows at once."""
        owner = self.accounts[account]
        if request.symbol not in self.markets:
            broken = RuleBroken(Refused.SYMBOL, "a listed symbol")
            return (_refusal(account, request.symbol, broken, request.client_order_id),)
        order = Order(
            order_id=self._next_order_id,
            account=account,
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            price=request.price,
            quantity=request.quantity,
            reduce_only=request.reduce_only,
            good_till_ns=request.good_till_ns,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        try:
            check_place(owner, self.markets, request, order, now_ns=now_ns)
        except RuleBroken as broken:
            return (_refusal(account, request.symbol, broken, request.client_order_id),)
        self._next_order_id += 1
        owner.keep(order)
        accepted = OrderChanged(change=Change.NEW, order=order, fill=None, time_ns=now_ns)
        return (accepted, *self._executions.work(owner, order, now_ns=now_ns))

    def cancel(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        now_ns: int,
    ) -> tuple[Event, ...]:
        """Cancel an open order by either id; refused if it is unknown or no longer open."""
        owner = self.accounts[account]
        order = owner.find(symbol, order_id=order_id, client_order_id=client_order_id)
        if order is None or not order.open:
            broken = RuleBroken(Refused.ORDER_UNKNOWN, "an open order")
            return (_refusal(account, symbol, broken, client_order_id or ""),)
        return (self._executions.end(owner, order, Change.CANCELED, now_ns=now_ns),)

    def cancel_all(self, account: str, symbol: str, *, now_ns: int) -> tuple[Event, ...]:
        """Cancel every open order of a symbol, oldest first."""
        owner = self.accounts[account]
        mine = [order for order in owner.open_orders.values() if order.symbol == symbol]
        return tuple(
            self._executions.end(owner, order, Change.CANCELED, now_ns=now_ns) for order in mine
        )

    def expire_in_match(
        self, account: str, symbol: str, *, order_id: int, now_ns: int
    ) -> tuple[Event, ...]:
        """Let self-trade prevention take back an open order, as if it had met one of its own."""
        owner = self.accounts[account]
        order = owner.find(symbol, order_id=order_id)
        if order is None or not order.open:
            return (_refusal(account, symbol, RuleBroken(Refused.ORDER_UNKNOWN, "an open order")),)
        return (self._executions.end(owner, order, Change.EXPIRED_IN_MATCH, now_ns=now_ns),)

    def force_close(
        self,
        account: str,
        symbol: str,
        *,
        kind: Forced,
        quantity: Decimal | None = None,
        now_ns: int,
    ) -> tuple[Event, ...]:
        """Close a position, or a part of it, as the exchange does on its own account.

        The open orders of the market are taken back first.

        Args:
            account: Whose.
            symbol: The market.
            kind: LIQUIDATION, DELEVERAGING or SETTLEMENT.
            quantity: How much, in base; None, or more than is held: all.
            now_ns: When.
        """
        return tuple(
            close_position(
                self._executions,
                self.markets[symbol],
                self.accounts[account],
                kind=kind,
                quantity=quantity,
                order_id=self._take_order_id(),
                now_ns=now_ns,
            )
        )

    def amend(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        price: Decimal,
        quantity: Decimal,
        now_ns: int,
    ) -> tuple[Event, ...]:
        """Change price and quantity of an open limit order, which loses its place in the queue.

        An amended order that crosses the market takes from it, unless it is post-only: then the
        amendment is refused. A quantity at or below what has filled cancels the rest, as on
        Binance.
        """
        owner = self.accounts[account]
        order = owner.find(symbol, order_id=order_id, client_order_id=client_order_id)
        if order is None or not order.open:
            broken = RuleBroken(Refused.ORDER_UNKNOWN, "an open order")
            return (_refusal(account, symbol, broken, client_order_id or ""),)
        changed = replace(order, price=price, quantity=quantity, updated_ns=now_ns)
        try:
            check_amend(owner, self.markets, order, changed, now_ns=now_ns)
        except RuleBroken as broken:
            return (_refusal(account, symbol, broken, client_order_id or ""),)
        if quantity <= order.executed:
            return (self._executions.end(owner, order, Change.CANCELED, now_ns=now_ns),)
        self._executions.withdraw(order)
        owner.keep(changed)
        amended = OrderChanged(change=Change.AMENDMENT, order=changed, fill=None, time_ns=now_ns)
        return (amended, *self._executions.work(owner, changed, now_ns=now_ns))

    def expire(self, *, now_ns: int) -> tuple[Event, ...]:
        """Expire the GTD orders whose time has come."""
        return tuple(
            self._executions.end(owner, order, Change.EXPIRED, now_ns=now_ns)
            for owner in self.accounts.values()
            for order in tuple(owner.open_orders.values())
            if order.good_till_ns is not None and order.good_till_ns <= now_ns
        )

    # --- the market ------------------------------------------------------------------------------

    def on_quote(self, symbol: str, quote: Quote) -> None:
        """Let the best prices move. A quote fills nothing; it corrects the queues."""
        self.markets[symbol].show_quote(quote)
        self._executions.quote(symbol, quote)

    def on_trade(self, symbol: str, trade: MarketTrade, *, now_ns: int) -> tuple[Event, ...]:
        """Let a trade of the market happen, and fill the client orders that it reaches.

        Args:
            symbol: The market.
            trade: What traded, at the market's own time.
            now_ns: Time to stamp the events with; it need not be the trade's time, when a
                recording of the past is replayed.
        """
        implied = self.markets[symbol].show_trade(trade)
        if implied is not None:
            self._executions.quote(symbol, implied)
        return tuple(self._executions.trade(symbol, trade, now_ns=now_ns))

    def on_mark_price(
        self, symbol: str, price: Decimal | None, *, now_ns: int
    ) -> tuple[Event, ...]:
        """Take a mark price, and liquidate who is under water; None leaves it at the last trade."""
        if price is not None:
            self.markets[symbol].set_mark(price)
        events: list[Event] = []
        for owner in self.accounts.values():
            if any(position.quantity for position in owner.positions.values()):
                equity, maintenance = equity_and_maintenance(owner, self.markets)
                if equity <= maintenance:
                    ids = iter(self._take_order_id, None)
                    events += liquidate(self._executions, self.markets, owner, ids, now_ns=now_ns)
        return tuple(events)

    def settle_funding(self, symbol: str, rate: Decimal, *, now_ns: int) -> tuple[Event, ...]:
        """Let longs pay `rate` of their position's notional at mark to shorts (or be paid)."""
        mark = self.markets[symbol].mark
        events: list[Event] = []
        for owner in self.accounts.values():
            position = owner.position(symbol)
            if not position.quantity or mark is None:
                continue
            amount = round_money(-position.quantity * mark * rate)
            owner.funding += amount
            owner.payments.append(
                Payment(
                    payment_id=next(self._payment_ids),
                    symbol=symbol,
                    rate=rate,
                    position=position.quantity,
                    amount=amount,
                    time_ns=now_ns,
                )
            )
            events.append(
                AccountChanged(
                    account=owner.name,
                    reason=AccountReason.FUNDING_FEE,
                    wallet=owner.wallet,
                    balance_change=amount,
                    symbol=symbol,
                    position=position,
                    time_ns=now_ns,
                )
            )
        return tuple(events)

    def untouched(self, symbol: str) -> Untouched:
        """Between which prices trades and quotes of a market touch no order."""
        return self._executions.untouched(symbol)

    def solvent(self) -> dict[str, Solvent] | None:
        """Between which mark prices nobody is liquidated, by market; see `untouched.solvent`."""
        return solvent(self.accounts.values(), self.markets)

    def queue_ahead(self, order: Order) -> Decimal | None:
        """The market quantity that fills before a resting order; None while it is untold."""
        return self._executions.queue_ahead(order)

    def _take_order_id(self) -> int:
        order_id = self._next_order_id
        self._next_order_id += 1
        return order_id


def _refusal(
    account: str, symbol: str, broken: RuleBroken, client_order_id: str = ""
) -> OrderRefused:
    return OrderRefused(
        account=account,
        symbol=symbol,
        client_order_id=client_order_id,
        reason=broken.reason,
        allowed=broken.allowed,
    )
