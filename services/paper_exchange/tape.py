"""What a market has shown so far: trades, candles, statistics, and a book for who asks for depth.

All times here are the exchange's wall clock, in milliseconds, as clients see them.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import ZERO
from services.paper_exchange.wording import Wording

TRADES_KEPT: Final = 1000
CANDLES_KEPT: Final = 1500
BOOK_LEVELS: Final = 20

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_EPOCH_WEEK_MS: Final = 4 * _DAY  # 1970-01-05 was a Monday

INTERVALS_MS: Final = {
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
    "1M": 30 * _DAY,
}
"""Candle intervals; a month is taken as 30 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapedTrade:
    """A trade of the market, at the time that clients see."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool
    time_ms: int


@dataclass(slots=True, kw_only=True)
class Candle:
    """A candle that grows until its time is over."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    first_id: int
    last_id: int
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    taker_buy_volume: Decimal = ZERO
    taker_buy_quote_volume: Decimal = ZERO
    trades: int = 0

    def add(self, trade: TapedTrade) -> None:
        """Count a trade in."""
        notional = trade.price * trade.quantity
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        self.close = trade.price
        self.last_id = trade.trade_id
        self.volume += trade.quantity
        self.quote_volume += notional
        self.trades += 1
        if not trade.buyer_is_maker:
            self.taker_buy_volume += trade.quantity
            self.taker_buy_quote_volume += notional


class Candles:
    """The candles of one interval; a candle without trades repeats the last close."""

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.length_ms = INTERVALS_MS[interval]
        self._offset_ms = _EPOCH_WEEK_MS if interval == "1w" else 0
        self.all: deque[Candle] = deque(maxlen=CANDLES_KEPT)

    def roll(self, now_ms: int) -> list[Candle]:
        """Open the candle of `now_ms` if it is time; the candles that this closed."""
        if not self.all:
            return []
        closed = []
        while (nxt := self.all[-1].open_ms + self.length_ms) <= now_ms:
            last = self.all[-1]
            closed.append(last)
            # After a gap that nobody could see, only the latest empty candles are of use.
            nxt = max(nxt, self._open_ms(now_ms) - self.length_ms * CANDLES_KEPT)
            self.all.append(_empty(nxt, last.close, last.last_id))
        return closed

    def add(self, trade: TapedTrade) -> list[Candle]:
        """Count a trade in; the candles that its time closed."""
        closed = self.roll(trade.time_ms)
        if not self.all:
            open_ms = self._open_ms(trade.time_ms)
            self.all.append(_empty(open_ms, trade.price, trade.trade_id))
        current = self.all[-1]
        if not current.trades:
            current.open = current.high = current.low = trade.price
            current.first_id = trade.trade_id
        current.add(trade)
        return closed

    def _open_ms(self, now_ms: int) -> int:
        return now_ms - (now_ms - self._offset_ms) % self.length_ms


def _empty(open_ms: int, price: Decimal, last_id: int) -> Candle:
    return Candle(
        open_ms=open_ms,
        open=price,
        high=price,
        low=price,
        close=price,
        first_id=last_id,
        last_id=last_id,
    )


class Tape:
    """One market's record since the exchange started."""

    def __init__(self, instrument: Instrument, *, assumed_depth: Decimal, started_ms: int) -> None:
        self.instrument = instrument
        self.wording = Wording(instrument)
        self.trades: deque[TapedTrade] = deque(maxlen=TRADES_KEPT)
        self.day: Candle | None = None
        """Statistics since the start, which serve as those of the last 24 hours."""
        self.started_ms = started_ms
        self.quote: Quote | None = None
        self.quote_ms = 0
        self.update_id = 0
        """Grows with every change of the book."""
        self.candles: dict[str, Candles] = {"1m": Candles("1m")}
        self._assumed_depth = assumed_depth

    @property
    def last(self) -> TapedTrade | None:
        """The latest trade."""
        return self.trades[-1] if self.trades else None

    def show_trade(self, trade: MarketTrade, *, time_ms: int) -> TapedTrade:
        """Record a trade of the market."""
        taped = TapedTrade(
            trade_id=trade.trade_id,
            price=trade.price,
            quantity=trade.quantity,
            buyer_is_maker=trade.buyer_is_maker,
            time_ms=time_ms,
        )
        self.trades.append(taped)
        if self.day is None:
            self.day = _empty(self.started_ms, trade.price, trade.trade_id)
        self.day.add(taped)
        return taped

    def show_quote(self, quote: Quote, *, time_ms: int) -> None:
        """Record the best prices."""
        self.quote = quote
        self.quote_ms = time_ms
        self.update_id += 1

    def candles_of(self, interval: str) -> Candles:
        """The candles of an interval, built from the minutes when it is first asked for."""
        if interval not in self.candles:
            built = Candles(interval)
            for minute in self.candles["1m"].all:
                _merge(built, minute)
            self.candles[interval] = built
        return self.candles[interval]

    def book(self) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        """Bids and asks, best first: the best prices as they are, behind them the assumed depth."""
        if self.quote is None:
            return {}, {}
        tick = self.instrument.tick_size
        bids = {self.quote.bid: self.quote.bid_quantity}
        asks = {self.quote.ask: self.quote.ask_quantity}
        for level in range(1, BOOK_LEVELS):
            if (bid := self.quote.bid - tick * level) > 0:
                bids[bid] = self._assumed_depth
            asks[self.quote.ask + tick * level] = self._assumed_depth
        return bids, asks


def _merge(into: Candles, minute: Candle) -> None:
    into.roll(minute.open_ms)
    if not into.all:
        into.all.append(_empty(into._open_ms(minute.open_ms), minute.open, minute.first_id))  # noqa: SLF001
    current = into.all[-1]
    if not current.trades:
        current.open = current.high = current.low = minute.open
        current.first_id = minute.first_id
    current.high, current.low = max(current.high, minute.high), min(current.low, minute.low)
    current.close, current.last_id = minute.close, minute.last_id
    for name in ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trades"):
        setattr(current, name, getattr(current, name) + getattr(minute, name))
