"""What the monitors know, as a port."""

from typing import Protocol

from opensqt.core.events import Candle, PriceChange
from opensqt.core.instrument import Instrument


class MarketData(Protocol):
    """The market data service, seen from its callers (gRPC in production).

    Raises, on every method: `DependencyError` when it does not answer.
    """

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that trades now, by symbol."""
        ...

    async def price(self, symbol: str) -> PriceChange:
        """The latest price; `DependencyError` as long as none has come."""
        ...

    async def candles(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The latest closed candles of one minute, oldest first; fewer while it has no more."""
        ...
