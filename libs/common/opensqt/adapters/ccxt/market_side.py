"""The exchange's public side: instruments, candles, prices."""

from collections.abc import AsyncIterator
from typing import Final

import structlog

from opensqt.adapters.ccxt.market_payloads import instrument, queried_candle, trades_now
from opensqt.adapters.ccxt.market_stream import MarketStream
from opensqt.adapters.ccxt.side import Side, reading, running
from opensqt.core.events import Candle
from opensqt.core.instrument import Instrument
from opensqt.ports import DependencyError, MarketEvent

KLINES_MAX: Final = 1500

_log = structlog.get_logger(__name__)


class MarketSide(Side):
    """Implements `ports.MarketFeed`."""

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every perpetual that trades now, by symbol.

        Raises:
            DependencyError: The exchange does not answer.
        """
        method = self._client.fapiPublicGetExchangeInfo
        answer = await self._wiring.ask("exchangeInfo", method, {}, signed=False)
        found = []
        for row in answer["symbols"]:
            if trades_now(row):
                try:
                    found.append(instrument(row))
                except (KeyError, ValueError) as error:
                    _log.warning(
                        "instrument_unreadable", symbol=row.get("symbol"), error=str(error)
                    )
        return tuple(sorted(found, key=lambda item: item.symbol))

    async def candles(self, symbol: str, *, limit: int) -> tuple[Candle, ...]:
        """The latest one-minute candles, oldest first; the last one may not be closed.

        Raises:
            DependencyError: The exchange does not answer.
        """
        params = {"symbol": symbol, "interval": "1m", "limit": min(limit, KLINES_MAX)}
        rows = await self._wiring.ask(
            "klines", self._client.fapiPublicGetKlines, params, signed=False
        )
        now_ms = self._wiring.requests.exchange_now_ms
        with reading("klines"):
            return tuple(queried_candle(symbol, row, now_ms=now_ms) for row in rows)

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Prices, funding and candles as they come; reconnects by itself, for ever."""
        stream = MarketStream(
            self._client,
            symbol,
            clock=self._wiring.clock,
            metrics=self._wiring.metrics,
            funding_interval=self._funding_interval,
        )
        async with running(stream.run, stream.inbox.close):
            async for event in stream.inbox:
                yield event

    async def _funding_interval(self, symbol: str) -> int | None:
        """Hours between two settlements, if the exchange lists them for this symbol."""
        method = self._client.fapiPublicGetFundingInfo
        try:
            rows = await self._wiring.ask("fundingInfo", method, {}, signed=False)
            hours = {row["symbol"]: row["fundingIntervalHours"] for row in rows}
            return int(hours[symbol]) if symbol in hours else None
        except (DependencyError, KeyError, TypeError, ValueError) as error:
            _log.warning("funding_interval_unknown", symbol=symbol, error=str(error))
            return None
