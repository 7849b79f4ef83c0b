"""A case: which bots trade which markets, and everything that is assumed about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from opensqt.backtest.tape import Tape
from opensqt.core.exchange.account import DEFAULT_LEVERAGE
from opensqt.core.exchange.rules import MarketRules
from opensqt.engine.bot import Bot


class Mode(StrEnum):
    """Which engine runs a case; the result is the same with each."""

    AUTO = "auto"
    """The fastest that the case allows."""
    EVERY = "every"
    """Every event is shown to the exchange, and every price to the strategy: the reference."""
    STEP = "step"
    """Looks at every event, one after the other; acts on those that can change something."""
    SKIP = "skip"
    """Finds by vectors the next event that can change something."""
    INTEGER = "integer"
    """Computes the ordinary life of a grid in whole numbers; what is not ordinary ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long things take on the way, in nanoseconds."""

    market_ns: int = 0
    """From the exchange to the strategy: market data."""
    order_ns: int = 0
    """From the strategy to the exchange: orders and cancels."""
    report_ns: int = 0
    """From the exchange to the strategy: answers and order updates."""

    def __post_init__(self) -> None:
        for name in ("market_ns", "order_ns", "report_ns"):
            if getattr(self, name) < 0:
                raise ValueError(f"latency: {name} is {getattr(self, name)}; allowed: 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCase:
    """An account to begin with."""

    deposit: Decimal
    """In quote."""
    leverage: Mapping[str, int] = field(default_factory=dict)
    """By symbol; `DEFAULT_LEVERAGE` where it is not said."""

    def leverage_of(self, symbol: str) -> int:
        """The leverage of a symbol."""
        return self.leverage.get(symbol, DEFAULT_LEVERAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is run.

    Bots on the same account share its margin; a symbol is traded by one bot of an account. Prices
    count as fresh, the order stream as verified and the risk gate as open throughout.
    """

    bots: tuple[Bot, ...]
    markets: Mapping[str, MarketRules]
    """By symbol."""
    tapes: Mapping[str, Tape]
    """By symbol."""
    accounts: Mapping[str, AccountCase]
    latency: Latency = field(default_factory=Latency)
