"""The strategy service's configuration."""

from collections import Counter
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config_models import ConfigModel, NatsConfig, PeerConfig, ServiceConfig

Milliseconds = Annotated[int, Field(ge=1, le=3_600_000)]

NS_PER_MS: Final = 1_000_000


class FreshnessConfig(ConfigModel):
    """How old the things may be that a decision relies on."""

    price_ms: Milliseconds = 2000
    """Nothing is opened on an older price."""
    price_silence_ms: Milliseconds = 60_000
    """After so long without any price, opening orders are cancelled."""
    stream_ms: Milliseconds = 5000
    """An older beat of the order stream counts as none."""
    grace_ms: Milliseconds = 10_000
    """How much longer gate and order stream may be silent before opening orders are cancelled."""

    def to_core(self) -> FreshnessBounds:
        """The bounds as the engine takes them."""
        return FreshnessBounds(
            price_ns=self.price_ms * NS_PER_MS,
            price_silence_ns=self.price_silence_ms * NS_PER_MS,
            stream_ns=self.stream_ms * NS_PER_MS,
            grace_ns=self.grace_ms * NS_PER_MS,
        )


class StrategyConfig(ServiceConfig):
    """What the strategy service is told."""

    bots: tuple[BotConfig, ...] = Field(min_length=1, max_length=200)
    """The bots that this process runs; no other process may run them."""
    freshness: FreshnessConfig = FreshnessConfig()
    nats: NatsConfig = NatsConfig()
    state: PeerConfig
    """The state service."""
    market_data: PeerConfig
    """The market data service, for instruments and the candles of the past."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        counts = Counter(bot.bot_id for bot in self.bots)
        if repeated := sorted(name for name, count in counts.items() if count > 1):
            raise ValueError(f"bots: each needs a bot_id of its own; repeated: {repeated}")
        return self
