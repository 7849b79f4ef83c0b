"""The market data service's composition root: one account's orders, and some markets."""

import asyncio
import contextlib
import difflib
from typing import Final, Protocol

import structlog

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Candle, FundingUpdate, PriceChange, StreamStatus
from opensqt.core.instrument import Instrument
from opensqt.ports import (
    AccountFeed,
    Clock,
    DependencyError,
    EventBus,
    MarketEvent,
    MarketFeed,
    PositionManager,
)
from opensqt.runtime.config import ConfigError, ConfigProblem
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.retries import until_it_answers
from services.market_data.candles import CandleMonitor
from services.market_data.config import MonitorConfig
from services.market_data.funding import FundingMonitor
from services.market_data.orders import OrderMonitor
from services.market_data.prices import PriceMonitor

INSTRUMENTS_INTERVAL_S: Final = 3600.0
"""Rules of instruments change now and then."""
NEAR_MATCHES: Final = 5

_log = structlog.get_logger(__name__)


class Feed(MarketFeed, AccountFeed, Protocol):
    """What the service needs of an exchange: it never trades."""


class MarketDataApp:
    """Follows markets and an account.

    Args:
        account: The account whose orders are followed.
        symbols: The markets.
        feed: The exchange.
        positions: The state service.
        bus: Carries the events.
        clock: Tells the time.
        metrics: Where everything is counted.
        config: How the monitors work.
    """

    def __init__(
        self,
        *,
        account: str,
        symbols: tuple[str, ...],
        feed: Feed,
        positions: PositionManager,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
        config: MonitorConfig | None = None,
    ) -> None:
        config = config or MonitorConfig()
        self._symbols = symbols
        self._feed = feed
        self._instruments: dict[str, Instrument] = {}
        self._prices = {
            symbol: PriceMonitor(symbol, bus=bus, clock=clock, metrics=metrics)
            for symbol in symbols
        }
        self._funding = {
            symbol: FundingMonitor(symbol, bus=bus, metrics=metrics) for symbol in symbols
        }
        self._candles = {
            symbol: CandleMonitor(
                symbol, feed=feed, bus=bus, metrics=metrics, kept=config.candles_kept
            )
            for symbol in symbols
        }
        self._orders = OrderMonitor(
            account,
            symbols,
            feed=feed,
            positions=positions,
            bus=bus,
            clock=clock,
            metrics=metrics,
            config=config,
        )

    async def prepare(self) -> None:
        """Learn the instruments, and check that the exchange lists every symbol.

        Raises:
            ConfigError: It does not, with the names that come near.
            DependencyError: It does not answer within a minute.
        """
        listed = await until_it_answers(
            "exchange", self._feed.instruments, errors=(DependencyError,)
        )
        self._instruments = {instrument.symbol: instrument for instrument in listed}
        problems = tuple(
            ConfigProblem(
                key=f"symbols[{index}]",
                value=repr(symbol),
                allowed=_listed_near(symbol, tuple(self._instruments)),
            )
            for index, symbol in enumerate(self._symbols)
            if symbol not in self._instruments
        )
        if problems:
            raise ConfigError(problems)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow everything until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._orders.run()),
                group.create_task(self._refresh_instruments()),
            ]
            for symbol in self._symbols:
                tasks.append(group.create_task(self._candles[symbol].run()))
                tasks.append(group.create_task(self._follow(symbol)))
            await stop.wait()
            for task in tasks:
                task.cancel()

    # --- what is known -------------------------------------------------------------------------

    def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that trades now, by symbol."""
        return tuple(self._instruments[symbol] for symbol in sorted(self._instruments))

    def price(self, symbol: str) -> PriceChange:
        """The latest price.

        Raises:
            Refusal: VALUE_NOT_ALLOWED for a symbol that is not followed.
            DependencyError: None has come yet.
        """
        self._check(symbol)
        latest = self._prices[symbol].latest
        if latest is None:
            raise DependencyError(f"no price of {symbol} has come yet")
        return latest

    def funding(self, symbol: str) -> FundingUpdate:
        """The latest funding rate and mark price; raises as `price`."""
        self._check(symbol)
        latest = self._funding[symbol].latest
        if latest is None:
            raise DependencyError(f"no funding rate of {symbol} has come yet")
        return latest

    def candles(
        self, symbol: str, limit: int, *, before_ns: int | None = None
    ) -> tuple[Candle, ...]:
        """The latest candles before a time, oldest first; raises as `price`."""
        self._check(symbol)
        return self._candles[symbol].recent(limit, before_ns=before_ns)

    def stream_status(self) -> StreamStatus:
        """Whether order updates can be relied upon right now."""
        return self._orders.status()

    def _check(self, symbol: str) -> None:
        if symbol not in self._prices:
            raise Refusal(
                RefusalReason.VALUE_NOT_ALLOWED,
                field="symbol",
                value=symbol,
                allowed=", ".join(self._symbols),
            )

    # --- following -----------------------------------------------------------------------------

    async def _follow(self, symbol: str) -> None:
        while True:
            events = self._feed.market_events(symbol)
            try:
                async for event in events:
                    await self._take(symbol, event)
            finally:
                close = getattr(events, "aclose", None)
                if close is not None:
                    await close()
            _log.error("market_feed_ended", symbol=symbol)
            await asyncio.sleep(1)

    async def _take(self, symbol: str, event: MarketEvent) -> None:
        match event:
            case PriceChange():
                await self._prices[symbol].take(event)
            case FundingUpdate():
                await self._funding[symbol].take(event)
            case Candle():
                await self._candles[symbol].take(event)

    async def _refresh_instruments(self) -> None:
        while True:
            await asyncio.sleep(INSTRUMENTS_INTERVAL_S)
            with contextlib.suppress(DependencyError):
                listed = await self._feed.instruments()
                self._instruments = {instrument.symbol: instrument for instrument in listed}


def _listed_near(symbol: str, listed: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(symbol, listed, n=NEAR_MATCHES, cutoff=0.5)
    shown = ", ".join(near or sorted(listed)[:NEAR_MATCHES])
    more = f", … ({len(listed)} in all)" if len(listed) > NEAR_MATCHES else ""
    return f"a symbol that the exchange lists, such as {shown}{more}"
