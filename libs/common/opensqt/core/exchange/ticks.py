"""A market as it happens: one thing after the other."""

from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.exchange.market import MarketTrade, Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPrice:
    """The mark price and the funding rate that goes with it."""

    price: Decimal
    rate: Decimal | None
    time_ns: int


Happening = MarketTrade | Quote | MarkPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One thing that happened in the market."""

    offset_ns: int
    """How long after the first tick it became known; never less than that of the tick before."""
    symbol: str
    happening: Happening
