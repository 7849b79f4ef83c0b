"""Configuration of the market data service."""

from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from opensqt.runtime.bot_config import AccountName, Symbol
from opensqt.runtime.config_models import (
    ConfigModel,
    ExactDecimal,
    ExchangeConfig,
    NatsConfig,
    PeerConfig,
    ServiceConfig,
)

CANDLES_MAX = 1000
"""As many as one page of ListCandles, and as an exchange answers at once."""


class MonitorConfig(ConfigModel):
    """How the monitors work."""

    recheck_interval_s: float = Field(default=10.0, gt=0, le=600)
    """How often the ledger's orders are compared with the exchange's, whatever the stream says."""
    news_grace_s: float = Field(default=2.0, ge=0, le=60)
    """How long the stream may take to tell what a comparison finds; older news were missed."""
    new_grid_interval_s: float = Field(default=0.5, gt=0, le=60)
    """How often is looked for grids that are new to the ledger; they wait for a comparison."""
    horizon_days: float = Field(default=30.0, gt=0, le=90)
    """How far back the exchange's history of a new grid is read, since a ledger may be lost."""
    remembered_hours: float = Field(default=72.0, ge=1, le=24 * 365)
    """How long the exchange remembers an order that ended without a fill; 72 on Binance USD-M. One
    that is denied and was last heard of longer ago has ended."""
    position_difference_max: ExactDecimal = Field(default=Decimal(0), ge=0)
    """The largest difference between the exchange's position and the ledger's that is tolerated,
    in base; a larger one that lasts closes the risk gate."""
    candles_kept: int = Field(default=CANDLES_MAX, ge=1, le=CANDLES_MAX)
    """One-minute candles kept of each symbol."""


class MarketDataConfig(ServiceConfig):
    """What the market data service is told."""

    account: AccountName = "paper"
    """Our name of the account whose orders are followed."""
    symbols: tuple[Symbol, ...] = Field(min_length=1, max_length=100)
    """The markets to follow, by the exchange's names, such as ``[BTCUSDT]``."""
    exchange: ExchangeConfig
    nats: NatsConfig = NatsConfig()
    state: PeerConfig
    """The state service, which knows our orders."""
    monitors: MonitorConfig = MonitorConfig()

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.exchange.api_key is None:
            raise ValueError("exchange: following orders needs api_key and api_secret; read-only")
        return self
