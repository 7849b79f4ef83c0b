"""A symbol's market as its frames tell it, and the inbox that its events are taken from."""

from collections import deque
from decimal import Decimal
from typing import Any, Final

from opensqt.adapters.inbox import Inbox
from opensqt.core.events import PriceChange
from opensqt.core.numbers import parse_decimal
from opensqt.ports import Clock, MarketEvent

REFRESH_NS: Final = 250_000_000
"""A price that frames confirm without changing it is told again this often, so that it counts as
fresh."""
EVENTS_MAX: Final = 10_000
"""Funding and candles that wait; the oldest give way."""
NS_PER_MS: Final = 1_000_000


class MarketInbox(Inbox[MarketEvent]):
    """Keeps the market's latest price, and its other events in order.

    A frame costs a few microseconds here; the price is put together only when it is taken, so a
    burst of frames becomes one event.

    Args:
        symbol: The market.
        clock: Tells when a frame came.
    """

    def __init__(self, symbol: str, clock: Clock) -> None:
        super().__init__()
        self._symbol = symbol
        self._clock = clock
        self._others: deque[MarketEvent] = deque(maxlen=EVENTS_MAX)
        self._texts: dict[str, str] = {}
        self._last: Decimal | None = None
        self._bid: Decimal | None = None
        self._ask: Decimal | None = None
        self._exchange_ms = 0
        self._receive_ns = 0
        self._told_ns = 0
        self._untold = False
        self._sequence = 0
        self.frames = 0

    def __len__(self) -> int:
        return self._untold + len(self._others)

    def put(self, event: MarketEvent) -> None:
        """Give an event that is not a price."""
        self._others.append(event)
        self._wake()

    def on_book_ticker(self, frame: dict[str, Any]) -> None:
        """Best bid and ask."""
        moved = False
        if frame["b"] != self._texts.get("b"):
            self._bid, moved = self._read(frame, "b"), True
        if frame["a"] != self._texts.get("a"):
            self._ask, moved = self._read(frame, "a"), True
        self._seen(frame, moved=moved)

    def on_trade(self, frame: dict[str, Any]) -> None:
        """A trade; those that are not of the market (insurance fund, ADL) are passed over."""
        if frame.get("X", "MARKET") != "MARKET":
            return
        moved = False
        if frame["p"] != self._texts.get("p"):
            self._last, moved = self._read(frame, "p"), True
        self._seen(frame, moved=moved)

    def forget(self) -> None:
        """The connection is lost: what it told is unknown until it is told again."""
        self._last = self._bid = self._ask = None
        self._texts.clear()
        self._untold = False

    def _read(self, frame: dict[str, Any], key: str) -> Decimal | None:
        value = parse_decimal(frame[key], name=key)
        self._texts[key] = frame[key]
        return value if value > 0 else None

    def _seen(self, frame: dict[str, Any], *, moved: bool) -> None:
        self.frames += 1
        now_ns = self._clock.now_ns()
        self._receive_ns = now_ns
        self._exchange_ms = frame["T"]
        if moved or now_ns - self._told_ns >= REFRESH_NS:
            self._untold = True
            self._wake()

    def _take(self) -> MarketEvent:
        if self._others:
            return self._others.popleft()
        self._untold = False
        self._told_ns = self._receive_ns
        self._sequence += 1
        return PriceChange(
            symbol=self._symbol,
            last=self._last,
            bid=self._bid,
            ask=self._ask,
            exchange_time_ns=self._exchange_ms * NS_PER_MS,
            receive_time_ns=self._receive_ns,
            sequence=self._sequence,
        )
