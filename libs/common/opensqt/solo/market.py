"""`RecordedMarket`: the simulated exchange on a recording, with one account, on its time.

It is a function of the recording and of the requests that came, each with its time and with how
many ticks had happened. So whoever has kept the requests can bring it back: `replay`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import chain
from typing import Final

from opensqt.backtest.case import Case
from opensqt.backtest.exact.floor import Floor
from opensqt.backtest.exact.minutes import MINUTE_NS, closed_minutes
from opensqt.backtest.exact.timeline import Timeline
from opensqt.core.events import Candle, PriceChange
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.events import Event
from opensqt.core.exchange.market import Market
from opensqt.core.numbers import plain
from opensqt.core.orders import Order

_DIGITS: Final = 16
"""Of a digest, for people to tell two of them apart."""


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
        case: One bot, its market and its account. Its latency is not asked for: bot and exchange
            are in one process.

    Raises:
        ValueError: Nothing ever happens in the market, or the exchange refuses the leverage.
    """

    def __init__(self, case: Case) -> None:
        (bot,) = case.bots
        self.symbol = bot.symbol
        self.quote_asset = bot.instrument.quote
        self.ticks = 0
        """How many events have happened."""
        self.requests: list[Request] = []
        """Every one that has arrived."""
        self._account = bot.account
        timeline = Timeline.of({bot.symbol: case.tapes[bot.symbol]})
        self._course = timeline.courses[bot.symbol]
        self._floor = Floor(case, timeline)
        self._times: list[int] = timeline.time_ns.tolist()
        self._now_ns: int = self._times[0]
        self._minutes = closed_minutes(self._course.tape, until_ns=self._times[-1])
        self._minute: Candle | None = next(self._minutes, None)

    # --- what a bot sees -------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The market's time."""
        return self._now_ns

    @property
    def account(self) -> Account:
        """The account's books."""
        return self._floor.exchange.accounts[self._account]

    @property
    def market(self) -> Market:
        """The market as it stands."""
        return self._floor.exchange.markets[self.symbol]

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

    def first_price(self) -> Decimal | None:
        """The price that is told first; None when there never is one."""
        return self._course.first_price()

    def next_minute_ns(self) -> int | None:
        """When the next one-minute candle closes; None when the recording holds no more."""
        return None if self._minute is None else self._minute.open_time_ns + MINUTE_NS

    def take_closed(self) -> tuple[Candle, ...]:
        """The one-minute candles that have closed since this was asked last, oldest first."""
        closed = []
        while (closed_ns := self.next_minute_ns()) is not None and closed_ns <= self._now_ns:
            assert self._minute is not None
            closed.append(self._minute)
            self._minute = next(self._minutes, None)
        return tuple(closed)

    # --- what happens ----------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many ticks there are."""
        return len(self._times)

    @property
    def ended(self) -> bool:
        """All of them have happened."""
        return self.ticks == self.count

    @property
    def began_ns(self) -> int:
        """When the first tick happens."""
        return self._times[0]

    @property
    def ends_ns(self) -> int:
        """When the last tick happens."""
        return self._times[-1]

    def next_ns(self) -> int | None:
        """When the next tick happens; None when there is none."""
        return None if self.ended else self._times[self.ticks]

    def pass_time(self, until_ns: int) -> None:
        """Let time pass without anything happening."""
        self._now_ns = max(self._now_ns, until_ns)

    def tick(self) -> tuple[Event, ...]:
        """Let the next tick happen; what that did to the account."""
        assert not self.ended, "the recording has ended"
        self.pass_time(self._times[self.ticks])
        events = self._floor.happen(self._course, self.ticks)
        self.ticks += 1
        return events

    def place(self, order: Order) -> tuple[Event, ...]:
        """A request to place an order arrives."""
        self._note(order, cancels=False)
        return self._floor.place(order, self._account, now_ns=self._now_ns)

    def cancel(self, order: Order) -> tuple[Event, ...]:
        """A request to cancel an order arrives."""
        self._note(order, cancels=True)
        return self._floor.cancel(order, self._account, now_ns=self._now_ns)

    def replay(
        self,
        requests: Iterable[Request],
        *,
        ticks: int,
        hear: Callable[[Request, tuple[Event, ...]], None] = lambda _request, _events: None,
    ) -> Iterator[int]:
        """Come to where an exchange was, from the beginning.

        Args:
            requests: Every one that had arrived there.
            ticks: How many ticks had happened there.
            hear: Is told what came of each request.

        Yields:
            How many ticks have happened, after each.
        """
        coming = chain(requests, (None,))
        request = next(coming)
        while True:
            while request is not None and request.ticks == self.ticks:
                self.pass_time(request.now_ns)
                hear(request, (self.cancel if request.cancels else self.place)(request.order))
                request = next(coming)
            if self.ticks >= ticks or self.ended:
                return
            self.tick()
            yield self.ticks

    def _note(self, order: Order, *, cancels: bool) -> None:
        self.requests.append(
            Request(order=order, cancels=cancels, ticks=self.ticks, now_ns=self._now_ns)
        )


def described(case: Case) -> str:
    """What the exchange of a bot is a function of, apart from the requests; for people, too."""
    (bot,) = case.bots
    tape, account = case.tapes[bot.symbol], case.accounts[bot.account]
    columns = hashlib.sha256(f"{tape.tick} {tape.quantity_unit}".encode())
    for table in (tape.trades, tape.quotes, tape.marks, tape.fundings):
        for item in fields(table):
            column = getattr(table, item.name)
            columns.update(f"{item.name} {column.dtype.str} {len(column)} ".encode())
            columns.update(column.tobytes())
    rules = hashlib.sha256(repr(case.markets[bot.symbol]).encode()).hexdigest()
    return (
        f"{tape.source or bot.symbol} ({columns.hexdigest()[:_DIGITS]}), "
        f"{bot.symbol} by rules {rules[: _DIGITS // 2]}, deposit {plain(account.deposit)}, "
        f"leverage {account.leverage_of(bot.symbol)}"
    )
