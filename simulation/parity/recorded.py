"""The exchange on a recorded market: what happens on a tape, and what it does to the books."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from opensqt.backtest.case import AccountCase
from opensqt.backtest.tape import MARK_UNIT, RATE_UNIT, Tape
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import Event
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Order, OrderStatus
from opensqt.ports import Clock
from simulation.observer import Observer
from simulation.venue import ExchangeSide

Happening: TypeAlias = Callable[[SimulatedExchange, int], tuple[Event, ...]]
"""Happens on an exchange at a time, in nanoseconds since 1970."""


class RecordedSide(ExchangeSide):
    """The exchange on a recorded market.

    Args:
        rules: What trades, by which rules.
        account: The account's name.
        begins_with: Its deposit and leverage.
        clock: The exchange's clock.
        observer: Told of everything that happens to an order.
    """

    def __init__(
        self,
        rules: MarketRules,
        *,
        account: str,
        begins_with: AccountCase,
        clock: Clock,
        observer: Observer,
    ) -> None:
        super().__init__(
            rules.instrument, clock=clock, account=account, observer=observer, start_ns=0
        )
        self.refused_ns: dict[str, int] = {}
        """When it refused an order, by its client order id: its books do not say."""
        self.exchange = SimulatedExchange([rules])
        self.exchange.open_account(account, deposit=begins_with.deposit)
        leverage = begins_with.leverage_of(self.symbol)
        refused = self.exchange.set_leverage(account, self.symbol, leverage)
        assert refused is None, f"leverage {leverage} is refused: {refused}"

    async def place(self, order: Order) -> PlacementResult:
        """Place a limit order."""
        result = await super().place(order)
        if result.status is OrderStatus.REJECTED:
            self.refused_ns[order.client_oid] = self._clock.now_ns()
        return result

    def happen(self, what: Happening) -> None:
        """Let something happen in the market; who is under water after it is liquidated."""
        now_ns = self._clock.now_ns()
        market = self.exchange.markets[self.symbol]
        before = market.mark
        events = what(self.exchange, now_ns)
        if market.mark != before:
            events += self.exchange.on_mark_price(self.symbol, None, now_ns=now_ns)
        self._send(events)


def happenings(tape: Tape) -> list[tuple[int, Happening]]:
    """What happens on a tape, in its order, with its times."""
    rows: list[tuple[int, int, Happening]] = []
    trades, quotes, marks, fundings = tape.trades, tape.quotes, tape.marks, tape.fundings
    tick, unit = tape.tick, tape.quantity_unit
    for time_ns, row, price, quantity, maker in zip(
        *(trades.time_ns.tolist(), trades.row.tolist(), trades.price.tolist()),
        *(trades.quantity.tolist(), trades.buyer_is_maker.tolist()),
        strict=True,
    ):
        trade = MarketTrade(
            price=price * tick, quantity=quantity * unit, buyer_is_maker=maker, time_ns=time_ns
        )
        rows.append((time_ns, row, _trade(tape.symbol, trade)))
    for time_ns, row, bid, bid_quantity, ask, ask_quantity in zip(
        *(quotes.time_ns.tolist(), quotes.row.tolist(), quotes.bid.tolist()),
        *(quotes.bid_quantity.tolist(), quotes.ask.tolist(), quotes.ask_quantity.tolist()),
        strict=True,
    ):
        quote = Quote(
            bid=bid * tick,
            bid_quantity=bid_quantity * unit,
            ask=ask * tick,
            ask_quantity=ask_quantity * unit,
            time_ns=time_ns,
        )
        rows.append((time_ns, row, _quote(tape.symbol, quote)))
    for time_ns, row, price in zip(
        marks.time_ns.tolist(), marks.row.tolist(), marks.price.tolist(), strict=True
    ):
        rows.append((time_ns, row, _mark(tape.symbol, price)))
    for time_ns, row, rate in zip(
        fundings.time_ns.tolist(), fundings.row.tolist(), fundings.rate.tolist(), strict=True
    ):
        rows.append((time_ns, row, _funding(tape.symbol, rate)))
    rows.sort(key=lambda found: found[:2])
    return [(time_ns, happening) for time_ns, _, happening in rows]


def first_price(tape: Tape) -> Decimal:
    """The first price that is told: the last trade's, else the bid."""
    trades, quotes = tape.trades, tape.quotes
    quoted_first = len(quotes) and not (len(trades) and trades.row[0] < quotes.row[0])
    return int(quotes.bid[0] if quoted_first else trades.price[0]) * tape.tick


def _trade(symbol: str, trade: MarketTrade) -> Happening:
    return lambda exchange, now_ns: exchange.on_trade(symbol, trade, now_ns=now_ns)


def _quote(symbol: str, quote: Quote) -> Happening:
    def happen(exchange: SimulatedExchange, now_ns: int) -> tuple[Event, ...]:
        del now_ns
        exchange.on_quote(symbol, quote)
        return ()

    return happen


def _mark(symbol: str, price: int) -> Happening:
    def happen(exchange: SimulatedExchange, now_ns: int) -> tuple[Event, ...]:
        del now_ns
        exchange.markets[symbol].set_mark(price * MARK_UNIT)
        return ()

    return happen


def _funding(symbol: str, rate: int) -> Happening:
    return lambda exchange, now_ns: exchange.settle_funding(symbol, rate * RATE_UNIT, now_ns=now_ns)
