"""The markets' events in order: of each symbol a `Course`, of all of them a `Timeline`.

Events are ordered by time, then symbol, then row. A course also says what every event leaves
behind (best prices, mark) and what prices it reaches, as columns, so that whoever looks for the
next event of a kind need not go through them one by one.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opensqt.backtest.columns import Columns, Ints
from opensqt.backtest.tape import MARK_UNIT, RATE_UNIT, Tape
from opensqt.core.exchange.market import MarketTrade, Quote

LOW, HIGH, NEAR_LOW, NEAR_HIGH, MARK, BID, ASK = range(7)
"""Places in `Course.columns`."""
FAR: Final = 2**62
"""Beyond every price."""
UNKNOWN: Final = 0
"""A price that is not known yet."""

Kinds: TypeAlias = NDArray[np.int8]


class Kind(IntEnum):
    """What an event is."""

    TRADE = 0
    QUOTE = 1
    MARK = 2
    FUNDING = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """A symbol's events, in order. Prices in ticks, marks in `mark_unit`."""

    tape: Tape
    time_ns: Ints
    kind: Kinds
    row: Ints
    place: Ints
    """Index of the event among those of all symbols."""
    bid: Ints
    """Best bid after the event; `UNKNOWN` before the first."""
    ask: Ints
    low: Ints
    """Lowest price that the event reaches; `-FAR` for one that concerns everybody, `FAR` for one
    that reaches none."""
    high: Ints
    near_low: Ints
    """The same without what a trade displays beside itself, where that matters to nobody."""
    near_high: Ints
    mark: Ints
    """Mark price after the event; `UNKNOWN` before the first."""
    mark_unit: Decimal
    count: int
    """How many events there are."""
    plain: bool
    """All of them are trades."""
    alone: bool
    """There are no other symbols."""

    def __len__(self) -> int:
        return self.count

    @property
    def columns(self) -> tuple[Ints, ...]:
        """What one looks through for the next event that matters."""
        return (
            self.low,
            self.high,
            self.near_low,
            self.near_high,
            self.mark,
            self.bid,
            self.ask,
        )

    def before(self, place: int) -> int:
        """How many of its events are among the first `place` of all symbols."""
        if self.alone:
            return min(place, self.count)
        return int(self.place.searchsorted(place))

    def latest(self, table: Columns, index: int) -> int:
        """Index into a table of its latest row up to an event; -1 for none."""
        if self.plain:
            return index if table is self.tape.trades else -1
        rows: Ints = table.row  # type: ignore[attr-defined]  # every table of a tape has them
        return int(rows.searchsorted(self.row[index], side="right")) - 1

    def trade(self, number: int) -> MarketTrade:
        """A trade of the tape."""
        trades = self.tape.trades
        return MarketTrade(
            price=int(trades.price[number]) * self.tape.tick,
            quantity=int(trades.quantity[number]) * self.tape.quantity_unit,
            buyer_is_maker=bool(trades.buyer_is_maker[number]),
            time_ns=int(trades.time_ns[number]),
        )

    def quote(self, number: int) -> Quote:
        """A quote of the tape."""
        quotes, tick, unit = self.tape.quotes, self.tape.tick, self.tape.quantity_unit
        return Quote(
            bid=int(quotes.bid[number]) * tick,
            bid_quantity=int(quotes.bid_quantity[number]) * unit,
            ask=int(quotes.ask[number]) * tick,
            ask_quantity=int(quotes.ask_quantity[number]) * unit,
            time_ns=int(quotes.time_ns[number]),
        )

    def mark_price(self, number: int) -> Decimal:
        """A mark price of the tape."""
        return int(self.tape.marks.price[number]) * MARK_UNIT

    def rate(self, number: int) -> Decimal:
        """A funding rate of the tape."""
        return int(self.tape.fundings.rate[number]) * RATE_UNIT

    def first_price(self) -> Decimal | None:
        """The price that a bot is told first: the last trade's, else the bid."""
        known = np.flatnonzero(self.bid != UNKNOWN)
        if not len(known):
            return None
        index = int(known[0])
        trade = self.latest(self.tape.trades, index)
        ticks = self.bid[index] if trade < 0 else self.tape.trades.price[trade]
        return int(ticks) * self.tape.tick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """The events of all symbols, in order."""

    courses: dict[str, Course]
    """By symbol, sorted."""
    time_ns: Ints
    symbol: Ints
    """Index into the courses."""

    def __len__(self) -> int:
        return len(self.time_ns)

    @classmethod
    def of(cls, tapes: dict[str, Tape]) -> "Timeline":
        """Put the tapes' events in order.

        Raises:
            ValueError: A tape's times or rows go back, or there is no event at all.
        """
        symbols = sorted(tapes)
        parts = [_Part.of(tapes[symbol]) for symbol in symbols]
        times: Ints = np.concatenate([part.time_ns for part in parts])
        if not len(times):
            raise ValueError("data: no event in it; allowed: at least one trade or quote")
        whose = np.repeat(np.arange(len(parts)), [len(part.time_ns) for part in parts])
        if len(parts) > 1:
            # A stable sort keeps the order of the rows, and that of the symbols.
            order = np.argsort(times, kind="stable")
            places = np.empty(len(times), dtype=np.int64)
            places[order] = np.arange(len(times))
            times, sorted_whose = times[order], whose[order]
        else:
            places, sorted_whose = np.arange(len(times)), whose
        return cls(
            courses={
                symbol: part.course(places[whose == number], alone=len(parts) == 1)
                for number, (symbol, part) in enumerate(zip(symbols, parts, strict=True))
            },
            time_ns=times,
            symbol=sorted_whose,
        )

    def before(self, time_ns: int) -> int:
        """How many events happen before a time."""
        return int(self.time_ns.searchsorted(time_ns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A tape's tables, put in order by their rows."""

    tape: Tape
    time_ns: Ints
    kind: Kinds
    row: Ints

    @classmethod
    def of(cls, tape: Tape) -> "_Part":
        tables = (tape.trades, tape.quotes, tape.marks, tape.fundings)
        times = np.concatenate([table.time_ns for table in tables])
        rows = np.concatenate([table.row for table in tables])
        kinds = np.repeat(np.arange(4, dtype=np.int8), [len(table) for table in tables])
        if len(times) > len(tape.trades):
            order = np.argsort(rows, kind="stable")
            times, rows, kinds = times[order], rows[order], kinds[order]
        if len(rows) and bool(np.any(np.diff(rows) <= 0)):
            raise ValueError(f"{tape.symbol}: rows repeat or go back; allowed: rows that grow")
        if len(times) and bool(np.any(np.diff(times) < 0)):
            raise ValueError(
                f"{tape.symbol}: times go back; allowed: times in the order of the rows"
            )
        return cls(tape=tape, time_ns=times, kind=kinds, row=rows)

    def course(self, place: Ints, *, alone: bool) -> Course:
        bid, ask, low, high = self._prices()
        near_low, near_high = self._near(low, high)
        mark, mark_unit = self._marks(bid, ask)
        return Course(
            tape=self.tape,
            time_ns=self.time_ns,
            kind=self.kind,
            row=self.row,
            place=place,
            bid=bid,
            ask=ask,
            low=low,
            high=high,
            near_low=near_low,
            near_high=near_high,
            mark=mark,
            mark_unit=mark_unit,
            count=len(self.time_ns),
            plain=len(self.tape.trades) == len(self.time_ns),
            alone=alone,
        )

    def _prices(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Best prices after each event, and the prices that it reaches."""
        trades, quotes = self.tape.trades, self.tape.quotes
        implied = np.where(trades.buyer_is_maker, trades.price, trades.price - 1)
        if len(trades) == len(self.time_ns):
            return implied, implied + 1, implied, implied + 1
        is_trade, is_quote = self.kind == Kind.TRADE, self.kind == Kind.QUOTE
        bid, ask = np.zeros((2, len(self.time_ns)), dtype=np.int64)
        bid[is_trade], ask[is_trade] = implied, implied + 1
        bid[is_quote], ask[is_quote] = quotes.bid, quotes.ask
        # Once there are quotes, trades imply none.
        quoted = np.maximum.accumulate(is_quote)
        shows = np.where(quoted, is_quote, is_trade)
        low = np.where(shows, bid, FAR)
        high = np.where(shows, ask, -FAR)
        only = is_trade & quoted
        low[only] = high[only] = trades.price[quoted[is_trade]]
        low[self.kind == Kind.FUNDING] = -FAR
        latest = _latest(shows)
        known = latest >= 0
        bid = np.where(known, bid[latest], UNKNOWN)
        ask = np.where(known, ask[latest], UNKNOWN)
        return bid, ask, low, high

    def _near(self, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """The prices that each event reaches by itself: of a trade, its own."""
        price = self.tape.trades.price
        if len(price) == len(self.time_ns):
            return price, price
        is_trade = self.kind == Kind.TRADE
        low, high = low.copy(), high.copy()
        low[is_trade] = high[is_trade] = price
        return low, high

    def _marks(self, bid: Ints, ask: Ints) -> tuple[Ints, Decimal]:
        """Mark price after each event: as told, else the last trade, else the middle."""
        tick, trades, marks = self.tape.tick, self.tape.trades, self.tape.marks
        if len(trades) == len(self.time_ns):
            return trades.price, tick
        unit = min(MARK_UNIT, Decimal((0, (1,), int((tick / 2).normalize().as_tuple().exponent))))
        per_half, per_mark = int(tick / 2 / unit), int(MARK_UNIT / unit)
        mark = (bid + ask) * per_half
        for kind, told in (
            (Kind.TRADE, trades.price * (2 * per_half)),
            (Kind.MARK, marks.price * per_mark),
        ):
            is_it = self.kind == kind
            latest = np.cumsum(is_it) - 1
            if len(told):
                mark = np.where(latest >= 0, told[latest], mark)
        return mark, unit


def _latest(flags: NDArray[np.bool_]) -> Ints:
    """Index of the latest flag up to each place; -1 before the first."""
    return np.maximum.accumulate(np.where(flags, np.arange(len(flags)), -1))
