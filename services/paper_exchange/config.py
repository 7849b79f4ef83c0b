"""The paper exchange's configuration."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from opensqt.runtime.config_models import ConfigModel, ExactDecimal, Port, ProcessConfig
from opensqt.runtime.market_config import (
    FeeShare,
    Leverage,
    NotNegative,
    Positive,
    Share,
    TradingRulesConfig,
)
from services.paper_exchange.faults import Faults


class SymbolConfig(TradingRulesConfig):
    """One market that the exchange lists; the defaults are BTCUSDT's on Binance."""

    symbol: str = "BTCUSDT"
    base: str = "BTC"
    quote: str = "USDT"
    tick_size: Positive = Decimal("0.10")
    step_size: Positive = Decimal("0.001")
    min_quantity: Positive = Decimal("0.001")
    max_quantity: Positive = Decimal(1000)
    min_notional: NotNegative = Decimal(100)
    maker_fee: FeeShare = Decimal("0.0002")
    taker_fee: FeeShare = Decimal("0.0005")
    max_leverage: Leverage = 125
    maintenance_rate: Share = Decimal("0.004")
    liquidation_fee: Share = Decimal("0.0125")
    assumed_depth: Positive = Decimal(1)


class KeyConfig(ConfigModel):
    """One API key of an account."""

    api_key: str
    api_secret: SecretStr
    trade: bool = False
    """May place and cancel; without it the key only reads."""


class AccountConfig(ConfigModel):
    """One account. The default keys guard play money and are no secret."""

    name: str = "paper"
    deposit: Positive = Decimal(10_000)
    keys: tuple[KeyConfig, ...] = (
        KeyConfig(api_key="paper-trade", api_secret=SecretStr("paper-trade-secret"), trade=True),
        KeyConfig(api_key="paper-read", api_secret=SecretStr("paper-read-secret")),
    )


class RecordingConfig(ConfigModel):
    """Raw combined streams of Binance, lines of ``<local_ns> <json>``."""

    kind: Literal["recording"] = "recording"
    path: Path


class TradesConfig(ConfigModel):
    """Aggregated trades as Binance publishes them: CSV, with or without a heading."""

    kind: Literal["trades"] = "trades"
    path: Path
    symbol: str = "BTCUSDT"


class CandlesConfig(ConfigModel):
    """Candles, ``ts_ms,open,high,low,close,volume``, turned into trades."""

    kind: Literal["candles"] = "candles"
    path: Path
    symbol: str = "BTCUSDT"
    interval_s: int = Field(default=60, gt=0)


class GeneratorConfig(ConfigModel):
    """A seeded random walk."""

    kind: Literal["generator"] = "generator"
    symbol: str = "BTCUSDT"
    seed: int = 1
    start_price: Positive = Decimal(60_000)
    trades_per_s: float = Field(default=20, gt=0, le=10_000)
    volatility: float = Field(default=0.00005, ge=0, lt=0.01)
    """Standard deviation of the price's relative change from trade to trade."""
    reversion: float = Field(default=0.001, ge=0, le=1)
    """Share of the distance to the start price that is pulled back with every trade."""
    duration_s: float | None = Field(default=None, gt=0)
    """How long it goes on; None for ever."""


Source = Annotated[
    RecordingConfig | TradesConfig | CandlesConfig | GeneratorConfig, Field(discriminator="kind")
]


class HistoryConfig(ConfigModel):
    """One-minute candles that are shown as those of before the market began."""

    path: Path
    """A table as of `CandlesConfig`."""
    symbol: str = "BTCUSDT"
    rescale: bool = False
    """Scale the prices so that they end at the market's first price."""


class MarketConfig(ConfigModel):
    """Where the market comes from and how it is played."""

    source: Source = GeneratorConfig()
    history: HistoryConfig | None = None
    speed: float = Field(default=1, gt=0, le=100_000)
    """How much faster than it happened."""
    start: Literal["at_once", "on_subscriber", "when_told"] = "at_once"
    """When the market begins: at once, with the first trade, quote or candle subscription, or when
    the control endpoint is told to."""
    mark_price_interval_s: float = Field(default=1, gt=0)


class FundingConfig(ConfigModel):
    """Funding settlements, by the exchange's wall clock."""

    rate: ExactDecimal = Field(default=Decimal("0.0001"), ge=Decimal("-0.04"), le=Decimal("0.04"))
    """Rate until the market data tells another."""
    interval_hours: int = Field(default=8, ge=1, le=8)
    """At full multiples of it since midnight UTC."""
    interval_s: float | None = Field(default=None, gt=0)
    """Settle that often instead, for demonstrations."""


class LimitsConfig(ConfigModel):
    """Rate limits, as Binance's default for USD-M futures."""

    weight_per_minute: int = Field(default=2400, ge=1)
    orders_per_10s: int = Field(default=300, ge=1)
    orders_per_minute: int = Field(default=1200, ge=1)
    ban_after: int = Field(default=10, ge=1)
    """Requests over the weight limit within a minute until the address is banned (418)."""
    ban_s: float = Field(default=120, gt=0)
    listen_key_s: float = Field(default=3600, gt=0)
    """Life of a listen key without a keep-alive."""


class ListenConfig(ConfigModel):
    """Where the exchange listens; port 0 takes a free one."""

    host: str = "127.0.0.1"
    tls_port: Port = 0
    plain_port: Port | None = None
    """A second port without TLS; by default only when there is no certificate."""
    control_port: Port = 0
    """Plain HTTP, on loopback only."""
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _whole_pair(self) -> "ListenConfig":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are given both, or neither")
        return self


class PaperExchangeConfig(ProcessConfig):
    """Everything that the paper exchange can be told."""

    listen: ListenConfig = ListenConfig()
    symbols: tuple[SymbolConfig, ...] = Field(default=(SymbolConfig(),), min_length=1)
    accounts: tuple[AccountConfig, ...] = (AccountConfig(),)
    market: MarketConfig = MarketConfig()
    funding: FundingConfig = FundingConfig()
    limits: LimitsConfig = LimitsConfig()
    faults: Faults = Faults()
    fault_seed: int = 1

    @model_validator(mode="after")
    def _consistent(self) -> "PaperExchangeConfig":
        for item in self.symbols:
            item.rules(item.symbol)
        listed = [symbol.symbol for symbol in self.symbols]
        keys = [key.api_key for account in self.accounts for key in account.keys]
        for name, values in (("symbols", listed), ("api keys", keys)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} repeat: {', '.join(values)}")
        named = {}
        if self.market.source.kind != "recording":
            named["market.source.symbol"] = self.market.source.symbol
        if self.market.history is not None:
            named["market.history.symbol"] = self.market.history.symbol
        for name, symbol in named.items():
            if symbol not in listed:
                raise ValueError(f"{name} {symbol} is not listed; symbols: {', '.join(listed)}")
        return self
