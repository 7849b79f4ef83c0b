"""Depth streams: the differences of a book, and its first levels.

A difference tells every level that was touched since the one before it, also those that came and
went in between: a client that took its snapshot in the middle has to hear of them. So the levels
touched are collected from the moment somebody subscribes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from opensqt.core.numbers import ZERO
from services.paper_exchange.streams.hub import Hub
from services.paper_exchange.streams.user import Publish
from services.paper_exchange.tape import Tape

CADENCES_MS: Final = {"@0ms": 0, "": 250, "@100ms": 100, "@250ms": 250, "@500ms": 500}
_LEVELS: Final = (5, 10, 20)

Json = dict[str, Any]
Side = dict[Decimal, Decimal]


@dataclass(slots=True, kw_only=True)
class _Feed:
    """One stream that somebody is subscribed to."""

    symbol: str
    cadence_ms: int
    levels: int | None
    """How many levels of each side it tells; None for a stream of differences."""
    told_id: int
    told_ms: int = 0
    bids: set[Decimal] = field(default_factory=set)
    """Prices touched since the last event."""
    asks: set[Decimal] = field(default_factory=set)


class DepthStreams:
    """The depth streams of all markets.

    Args:
        hub: Tells what somebody is subscribed to.
        publish: Sends an event.
        tapes: The markets' records by symbol.
    """

    def __init__(self, hub: Hub, publish: Publish, tapes: Mapping[str, Tape]) -> None:
        self._hub = hub
        self._publish = publish
        self._tapes = tapes
        self._feeds: dict[str, _Feed] = {}
        self._books: dict[str, tuple[Side, Side]] = {}

    def open(self, stream: str) -> None:
        """Begin to collect for a stream, when its first subscriber comes."""
        name, _, kind = stream.partition("@depth")
        symbol = name.upper()
        count, at, cadence = kind.partition("@")
        levels = int(count) if count.isdigit() else None
        cadence_ms = CADENCES_MS.get(at + cadence)
        known = cadence_ms is not None and (levels in _LEVELS if count else True)
        if symbol not in self._tapes or cadence_ms is None or not known or stream in self._feeds:
            return
        told_id = self._tapes[symbol].update_id
        self._feeds[stream] = _Feed(
            symbol=symbol, cadence_ms=cadence_ms, levels=levels, told_id=told_id
        )
        self._books[symbol] = self._tapes[symbol].book()

    def changed(self, symbol: str, *, now_ms: int) -> None:
        """The book of a market changed."""
        feeds = [(name, feed) for name, feed in self._feeds.items() if feed.symbol == symbol]
        if not feeds:
            return
        before, after = self._books[symbol], self._tapes[symbol].book()
        self._books[symbol] = after
        bids, asks = _touched(before[0], after[0]), _touched(before[1], after[1])
        for name, feed in feeds:
            feed.bids |= bids
            feed.asks |= asks
            if not feed.cadence_ms:
                self._tell(name, feed, now_ms=now_ms)

    def beat(self, *, now_ms: int) -> None:
        """Send what is due; forget the streams that nobody is subscribed to any more."""
        for name, feed in tuple(self._feeds.items()):
            if not self._hub.subscribed(name):
                del self._feeds[name]
            elif now_ms - feed.told_ms >= feed.cadence_ms:
                self._tell(name, feed, now_ms=now_ms)

    def _tell(self, name: str, feed: _Feed, *, now_ms: int) -> None:
        update_id = self._tapes[feed.symbol].update_id
        if update_id == feed.told_id:
            return
        bids, asks = self._books[feed.symbol]
        word = self._tapes[feed.symbol].wording
        if feed.levels is None:
            levels = (_now(feed.bids, bids), _now(feed.asks, asks))
        else:
            levels = ([*bids.items()][: feed.levels], [*asks.items()][: feed.levels])
        self._publish(
            name,
            {
                "e": "depthUpdate",
                "E": now_ms,
                "T": now_ms,
                "s": feed.symbol,
                "U": feed.told_id + 1,
                "u": update_id,
                "pu": feed.told_id,
                "b": [[word.price(p), word.quantity(q)] for p, q in levels[0]],
                "a": [[word.price(p), word.quantity(q)] for p, q in levels[1]],
            },
        )
        feed.told_id, feed.told_ms = update_id, now_ms
        feed.bids.clear()
        feed.asks.clear()


def _touched(before: Side, after: Side) -> set[Decimal]:
    return {
        price for price in before.keys() | after.keys() if before.get(price) != after.get(price)
    }


def _now(touched: set[Decimal], side: Side) -> list[tuple[Decimal, Decimal]]:
    """The touched levels as they are now; those that are gone have no quantity."""
    return [(price, side.get(price, ZERO)) for price in sorted(touched)]
