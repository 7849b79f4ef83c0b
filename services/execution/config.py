"""Configuration of the execution service."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from opensqt.runtime.bot_config import AccountName
from opensqt.runtime.config_models import (
    ConfigModel,
    ExactDecimal,
    ExchangeConfig,
    NatsConfig,
    PeerConfig,
    PostgresConfig,
    ServiceConfig,
)

Milliseconds = Annotated[int, Field(ge=1, le=600_000)]


class RateLimitConfig(ConfigModel):
    """The exchange's limits for one account, and the part that is kept for cancels and exits."""

    orders_per_10s: int = Field(default=300, ge=10)
    orders_per_minute: int = Field(default=1200, ge=10)
    weight_per_minute: int = Field(default=2400, ge=10)
    """Weight of all requests together; an order, a cancel and a question weigh one each."""
    reserve_share: ExactDecimal = Field(default=Decimal("0.2"), ge=0, lt=1)
    """Part of each limit that orders which open a position never use."""


class TimingConfig(ConfigModel):
    """How long things may take, and what may be concluded from silence."""

    price_age_ms_max: Milliseconds = 2000
    """Nothing is opened on an older price."""
    placing_ms: Milliseconds = 3000
    """After this the exchange refuses a request to place an order that is still on its way."""
    answer_ms: Milliseconds = 5000
    """How long an answer is awaited before the outcome counts as unknown."""
    clock_skew_ms: Annotated[int, Field(ge=0, le=60_000)] = 1000
    """The most by which our clock and the exchange's differ."""
    visibility_ms: Annotated[int, Field(ge=0, le=60_000)] = 2000
    """The longest that an accepted order is missing from the exchange's look-ups."""
    reaper_interval_ms: Milliseconds = 5000
    """How often orders are looked for that nobody sees to."""


class SettlementConfig(ConfigModel):
    """Where DBOS keeps the settle workflows."""

    postgres: PostgresConfig
    """The database; its tables are created in `schema_name` when they are not there."""
    schema_name: str = Field(default="dbos", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    executor_id: str = Field(default="", max_length=200)
    """Whose workflows are taken up again at start; by default one for each account."""


class ExecutionConfig(ServiceConfig):
    """What the execution service is told."""

    account: AccountName = "paper"
    """The account that it trades on; no other process may trade on it."""
    exchange: ExchangeConfig
    nats: NatsConfig = NatsConfig()
    state: PeerConfig
    """The state service."""
    settlement: SettlementConfig
    rate_limits: RateLimitConfig = RateLimitConfig()
    timing: TimingConfig = TimingConfig()

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.exchange.api_key is None:
            raise ValueError("exchange: trading needs api_key and api_secret")
        return self
