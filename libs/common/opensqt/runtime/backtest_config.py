"""What a backtest assumes, as a trader writes it down: the YAML file of ``--assume``."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from opensqt.core.exchange.rules import Touch
from opensqt.runtime.bot_config import Symbol
from opensqt.runtime.config_models import ConfigModel, ExactDecimal

_UNITS_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_LONGEST_NS: Final = 60 * _UNITS_NS["s"]


def _duration_ns(value: Any) -> int:
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ns|us|ms|s)", str(value).strip())
    if found is None and str(value).strip() != "0":
        raise ValueError("allowed is a number with ns, us, ms or s, such as 20ms")
    ns = Decimal(found[1]) * _UNITS_NS[found[2]] if found else Decimal(0)
    if ns != ns.to_integral_value() or ns > _LONGEST_NS:
        raise ValueError("allowed are whole nanoseconds up to 60s")
    return int(ns)


DurationNs = Annotated[int, BeforeValidator(_duration_ns, json_schema_input_type=str)]
"""A time such as ``20ms``, in nanoseconds."""


class LatencyConfig(ConfigModel):
    """How long things take on the way."""

    market: DurationNs = Field(default="50ms", validate_default=True)
    """From the exchange to the strategy: prices."""
    order: DurationNs = Field(default="50ms", validate_default=True)
    """From the strategy to the exchange: orders and cancels."""
    report: DurationNs = Field(default="50ms", validate_default=True)
    """From the exchange to the strategy: answers and fills."""


class FeesConfig(ConfigModel):
    """What a fill costs, as a share of its notional; a rebate is negative."""

    maker: ExactDecimal = Field(gt=Decimal("-0.01"), lt=Decimal("0.05"))
    taker: ExactDecimal = Field(gt=Decimal("-0.01"), lt=Decimal("0.05"))


class FillsConfig(ConfigModel):
    """How trades of the market fill orders."""

    touch: Touch = Touch.QUEUE
    """What a trade at the order's price does: ``queue``, ``never`` or ``at_once``."""
    bounded: bool = True
    """A trade fills at most its own quantity; false: whole orders."""
    assumed_depth: ExactDecimal | None = Field(default=None, gt=0)
    """Quantity, in base, assumed at every price of which the data does not tell the size; left out:
    that of the markets file."""


class CandleWay(StrEnum):
    """The way that prices are assumed to have taken inside a candle."""

    NEAREST = "nearest"
    """From the open to the nearer of high and low, to the other, to the close."""
    WORST = "worst"
    """The order of high and low that is worse for the bot's direction."""


class FundingSource(StrEnum):
    """Where funding rates come from."""

    DATA = "data"
    """The settlements in the data, at their own times."""
    CONSTANT = "constant"
    """The same rate at every interval."""
    NONE = "none"
    """No funding."""


class FundingConfig(ConfigModel):
    """What positions pay for being held."""

    source: FundingSource = FundingSource.DATA
    """``data``, ``constant`` or ``none``."""
    rate: ExactDecimal | None = Field(default=None, gt=Decimal("-0.1"), lt=Decimal("0.1"))
    """Of ``constant``: what longs pay to shorts at each settlement, as a share of the notional."""
    interval_hours: Literal[1, 2, 4, 8] = 8
    """Of ``constant``: settlements are at whole multiples of it, UTC."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rate is not None) != (self.source is FundingSource.CONSTANT):
            raise ValueError("rate is given with source: constant, and only then")
        return self


class BacktestConfig(ConfigModel):
    """What a backtest assumes; every key has a default."""

    deposit: ExactDecimal = Field(default=Decimal(10_000), gt=0)
    """What each account begins with, in quote."""
    leverage: int = Field(default=5, ge=1, le=125)
    """Of every symbol."""
    leverage_by_symbol: dict[Symbol, Annotated[int, Field(ge=1, le=125)]] = Field(default={})
    """Of single symbols."""
    accounts: Literal["shared", "separate"] = "shared"
    """``shared``: bots share the margin of the account that their configuration names;
    ``separate``: each bot has an account and a deposit of its own."""
    latency: LatencyConfig = LatencyConfig()
    fees: FeesConfig | None = None
    """Left out: those of the markets file."""
    fills: FillsConfig = FillsConfig()
    candles: CandleWay = CandleWay.NEAREST
    """The way inside a candle."""
    funding: FundingConfig = FundingConfig()
