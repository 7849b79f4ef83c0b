"""`CandleMonitor`: one symbol's recent one-minute candles, without gaps."""

import asyncio
from typing import Final

import structlog

from opensqt.core.events import Candle
from opensqt.ports import CANDLES, DependencyError, EventBus, MarketFeed
from opensqt.runtime.metrics import Metrics

RETRY_S: Final = 2.0
NS_PER_S: Final = 10**9

_log = structlog.get_logger(__name__)


class CandleMonitor:
    """Keeps the latest candles, and publishes each one once it is closed.

    The past comes by a look-up, at the start and whenever the stream has left something out.

    Args:
        symbol: The market.
        feed: Knows the past.
        bus: Carries closed candles.
        metrics: Where candles and gaps are counted.
        kept: How many are kept.
    """

    def __init__(
        self, symbol: str, *, feed: MarketFeed, bus: EventBus, metrics: Metrics, kept: int
    ) -> None:
        self._symbol = symbol
        self._feed = feed
        self._bus = bus
        self._kept = kept
        self._candles: dict[int, Candle] = {}
        self._published_ns = 0
        self._gap = asyncio.Event()
        self._gap.set()
        self._published = metrics.counter(
            "market_candles", "Closed candles published, by symbol", ["symbol"]
        ).labels(symbol)
        self._gaps = metrics.counter(
            "market_candle_gaps", "Gaps in the candles that were filled", ["symbol"]
        ).labels(symbol)

    def recent(self, limit: int, *, before_ns: int | None = None) -> tuple[Candle, ...]:
        """The latest candles that begin before `before_ns`, oldest first."""
        times = sorted(self._candles)
        if before_ns is not None:
            times = [time_ns for time_ns in times if time_ns < before_ns]
        return tuple(self._candles[time_ns] for time_ns in times[-limit:])

    async def run(self) -> None:
        """Fill gaps for ever; the first one is the time before the start."""
        while True:
            await self._gap.wait()
            try:
                past = await self._feed.candles(self._symbol, limit=self._kept)
            except DependencyError as error:
                _log.warning("candles_not_loaded", symbol=self._symbol, error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            self._gap.clear()
            for candle in past:
                self._keep(candle)
            await self._publish_closed()

    async def take(self, candle: Candle) -> None:
        """A candle changed or closed."""
        newest = max(self._candles, default=None)
        if newest is not None and self._leaves_gap(newest, candle):
            self._gaps.inc()
            self._gap.set()
        self._keep(candle)
        if candle.closed and not self._gap.is_set():
            await self._publish_closed()

    def _leaves_gap(self, newest: int, candle: Candle) -> bool:
        """A candle is missing, or the one before never said that it was closed."""
        if candle.open_time_ns <= newest:
            return False
        follows = newest + candle.interval_s * NS_PER_S == candle.open_time_ns
        return not follows or not self._candles[newest].closed

    def _keep(self, candle: Candle) -> None:
        known = self._candles.get(candle.open_time_ns)
        if known is not None and known.closed and not candle.closed:
            return  # a look-up that was overtaken by the stream
        self._candles[candle.open_time_ns] = candle
        while len(self._candles) > self._kept:
            del self._candles[min(self._candles)]

    async def _publish_closed(self) -> None:
        """Publish, oldest first, what closed since the last one that was published."""
        if not self._published_ns:
            # At the start only the newest: the rest is history, and can be asked for.
            closed = [c for c in self.recent(self._kept) if c.closed][-1:]
        else:
            closed = [
                c
                for c in self.recent(self._kept)
                if c.closed and c.open_time_ns > self._published_ns
            ]
        for candle in closed:
            await self._bus.publish(CANDLES, self._symbol, candle)
            self._published_ns = candle.open_time_ns
            self._published.inc()
