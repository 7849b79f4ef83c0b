"""`RecordedMarket`: the simulated exchange on a recording, with one account, on its time.

It is a function of the recording and of the requests that came, each with its time and with how
many ticks had happened. So whoever has kept the requests can bring it back: `replay`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from opensqt.adapters.replay.source import MarketSource
from opensqt.core.events import Candle, PriceChange
from opensqt.core.exchange import told
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import Event
from opensqt.core.exchange.market import Market, MarketTrade, Quote
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.exchange.ticks import Tick
from opensqt.core.orders import Order
from opensqt.solo.minutes import Minutes

FUNDING_NS: Final = 8 * 3600 * 10**9
"""Funding is settled at 00:00, 08:00 and 16:00 UTC, as the paper exchange does, at the latest rate
that the recording tells; without one it is not settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of the bot's that has arrived at the exchange."""

    order: Order
    cancels: bool
    """It cancels the order; otherwise it places it."""
    ticks: int
    """How many ticks had happened."""
    now_ns: int


class RecordedMarket:
    """One market and one account of a simulated exchange; also the `Clock` of who trades there.

    Args:
        source: What happens in the market; what happens in others is passed over.
        rules: The market's.
        account: The account's name.
        deposit: What is in it at first, in quote.
    """

    def __init__(
        self, source: MarketSource, rules: MarketRules, *, account: str, deposit: Decimal
    ) -> None:
        self.symbol = rules.instrument.symbol
        self.quote_asset = rules.instrument.quote
        self.exchange = SimulatedExchange([rules])
        self.exchange.open_account(account, deposit=deposit)
        self.ticks = 0
        """How many have happened."""
        self.ended = False
        self.requests: list[Request] = []
        """Every one that has arrived."""
        self._account = account
        self._coming = (tick for tick in source.ticks() if tick.symbol == self.symbol)
        self._next: Tick | None = next(self._coming, None)
        self._began_ns = 0 if self._next is None else self._next.happening.time_ns
        self._now_ns = self._began_ns
        self._minutes = Minutes(self.symbol)
        self._closed: list[Candle] = []
        self._rate: Decimal | None = None

    # --- what a bot sees -------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The market's time."""
        return self._now_ns

    @property
    def account(self) -> Account:
        """The account's books."""
        return self.exchange.accounts[self._account]

    @property
    def market(self) -> Market:
        """The market as it stands."""
        return self.exchange.markets[self.symbol]

    def price(self) -> PriceChange | None:
        """The price as it stands; None before there is one."""
        last, quote = self.market.last, self.market.quote
        if last is None and quote is None:
            return None
        return PriceChange(
            symbol=self.symbol,
            last=None if last is None else last.price,
            bid=None if quote is None else quote.bid,
            ask=None if quote is None else quote.ask,
            exchange_time_ns=self._now_ns,
            receive_time_ns=self._now_ns,
            sequence=self.ticks,
        )

    @property
    def first_price(self) -> Decimal | None:
        """A price near the first one, before anything has happened; None when none is known."""
        match self._next and self._next.happening:
            case MarketTrade(price=price):
                return price
            case Quote(bid=bid):
                return bid
            case _:
                return None

    def take_closed(self) -> tuple[Candle, ...]:
        """One-minute candles that have closed since this was asked last."""
        closed, self._closed = tuple(self._closed), []
        return closed

    # --- what happens ----------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """When the next tick happens; None when there is none."""
        return None if self._next is None else self._began_ns + self._next.offset_ns

    def pass_time(self, until_ns: int) -> None:
        """Let time pass without anything happening."""
        self._now_ns = max(self._now_ns, until_ns)

    def tick(self) -> tuple[Event, ...]:
        """Let the next tick happen; what that did to the account.

        Raises:
            DamagedData: The recording cannot be read on.
        """
        tick = self._next
        assert tick is not None, "the recording has ended"
        before_ns = self._now_ns
        self.pass_time(self._began_ns + tick.offset_ns)
        self._closed += self._minutes.until(self._now_ns)
        events = (*self._settle(before_ns), *self._happen(tick))
        self.ticks += 1
        self._next = next(self._coming, None)
        self.ended = self._next is None
        return events

    def place(self, order: Order) -> tuple[Event, ...]:
        """A request to place an order arrives."""
        self._note(order, cancels=False)
        request = told.request_of(order)
        return self.exchange.place(self._account, request, now_ns=self._now_ns)

    def cancel(self, order: Order) -> tuple[Event, ...]:
        """A request to cancel an order arrives."""
        self._note(order, cancels=True)
        return self.exchange.cancel(
            self._account, self.symbol, client_order_id=order.client_oid, now_ns=self._now_ns
        )

    def replay(self, requests: Iterable[Request], *, ticks: int) -> Iterator[int]:
        """Bring back what was, on a market that has not begun; yields how far it is.

        Args:
            requests: All that arrived, in order.
            ticks: How many ticks had happened.

        Raises:
            DamagedData: The recording cannot be read so far.
        """
        coming = iter(requests)
        request = next(coming, None)
        while True:
            while request is not None and request.ticks == self.ticks:
                self.pass_time(request.now_ns)
                (self.cancel if request.cancels else self.place)(request.order)
                request = next(coming, None)
            if self.ticks >= ticks or self._next is None:
                return
            self.tick()
            yield self.ticks

    # --- inside ----------------------------------------------------------------------------------

    def _happen(self, tick: Tick) -> tuple[Event, ...]:
        happening, symbol, now_ns = tick.happening, self.symbol, self._now_ns
        before = self.market.mark
        events: tuple[Event, ...] = ()
        match happening:
            case MarketTrade():
                events = self.exchange.on_trade(symbol, happening, now_ns=now_ns)
                self._minutes.add(happening, now_ns=now_ns)
            case Quote():
                self.exchange.on_quote(symbol, happening)
            case _:
                self.market.set_mark(happening.price)
                self._rate = self._rate if happening.rate is None else happening.rate
        if self.market.mark != before:
            events += self.exchange.on_mark_price(symbol, None, now_ns=now_ns)
        return events

    def _settle(self, before_ns: int) -> tuple[Event, ...]:
        if self._rate is None or before_ns // FUNDING_NS == self._now_ns // FUNDING_NS:
            return ()
        return self.exchange.settle_funding(self.symbol, self._rate, now_ns=self._now_ns)

    def _note(self, order: Order, *, cancels: bool) -> None:
        self.requests.append(
            Request(order=order, cancels=cancels, ticks=self.ticks, now_ns=self._now_ns)
        )
