"""`FixedMarketData`: what the monitors know, as a test says."""

from opensqt.core.events import Candle, PriceChange
from opensqt.core.instrument import Instrument
from opensqt.ports import DependencyError


class FixedMarketData:
    """Implements `ports.MarketData`; its attributes are the answers."""

    def __init__(self, *instruments: Instrument) -> None:
        self.listed = instruments
        self.prices: dict[str, PriceChange] = {}
        self.past: dict[str, tuple[Candle, ...]] = {}
        self.answers = True
        """Set to False, every call fails."""

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument, by symbol."""
        self._reach()
        return tuple(sorted(self.listed, key=lambda instrument: instrument.symbol))

    async def price(self, symbol: str) -> PriceChange:
        """The latest price."""
        self._reach()
        if symbol not in self.prices:
            raise DependencyError(f"no price of {symbol} yet")
        return self.prices[symbol]

    async def candles(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The latest closed candles."""
        self._reach()
        return self.past.get(symbol, ())[-limit:]

    def _reach(self) -> None:
        if not self.answers:
            raise DependencyError("the market data was told not to answer")
