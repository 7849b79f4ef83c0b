"""Trading rules of the markets that a backtest may trade, from a file."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator

from opensqt.core.exchange.rules import Fees, MarketRules
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.core.numbers import is_multiple
from opensqt.runtime.config import load_config, refuse
from opensqt.runtime.config_models import ConfigModel, ExactDecimal

DEFAULT_MARKETS: Final = Path("config/markets.binance_usdm.yaml")
"""The rules that the project brings along."""

_Positive = Annotated[ExactDecimal, Field(gt=0)]
_Share = Annotated[ExactDecimal, Field(ge=0, lt=1)]


class MarketConfig(ConfigModel):
    """One market's rules; what the exchange states has no default."""

    base: str
    quote: str
    tick_size: _Positive
    step_size: _Positive
    min_quantity: _Positive
    max_quantity: _Positive
    min_notional: ExactDecimal = Field(ge=0)
    maker_fee: ExactDecimal = Field(gt=Decimal("-0.01"), lt=Decimal("0.05"))
    """As a share of the notional; a rebate is negative."""
    taker_fee: ExactDecimal = Field(gt=Decimal("-0.01"), lt=Decimal("0.05"))
    max_leverage: int = Field(ge=1, le=125)
    maintenance_rate: _Share
    """Maintenance margin as a share of the position's notional."""
    liquidation_fee: _Share
    """What a liquidation costs, as a share of the notional."""
    assumed_depth: _Positive
    """Quantity assumed at every price of which the data does not tell the size."""

    def rules(self, symbol: str) -> MarketRules:
        """The market as the core knows it.

        Raises:
            InstrumentRuleError: The limits contradict each other.
        """
        if self.min_quantity > self.max_quantity:
            raise InstrumentRuleError(f"{symbol}: min_quantity is more than max_quantity")
        return MarketRules(
            instrument=Instrument(
                symbol=symbol,
                base=self.base,
                quote=self.quote,
                tick_size=self.tick_size,
                step_size=self.step_size,
                min_quantity=self.min_quantity,
                max_quantity=self.max_quantity,
                min_notional=self.min_notional,
            ),
            fees=Fees(maker=self.maker_fee, taker=self.taker_fee),
            max_leverage=self.max_leverage,
            maintenance_rate=self.maintenance_rate,
            liquidation_fee=self.liquidation_fee,
            assumed_depth=self.assumed_depth,
        )


class MarketsConfig(ConfigModel):
    """A file of markets."""

    markets: dict[str, MarketConfig] = Field(min_length=1)
    """By the exchange's own symbol."""

    @field_validator("markets")
    @classmethod
    def _on_the_step(cls, markets: dict[str, MarketConfig]) -> dict[str, MarketConfig]:
        for symbol, market in markets.items():
            if not is_multiple(market.min_quantity, market.step_size):
                raise ValueError(
                    f"{symbol}: min_quantity {market.min_quantity} is no multiple of the step "
                    f"{market.step_size}"
                )
        return markets


def load_markets(path: Path) -> Mapping[str, MarketRules]:
    """Read a file of markets.

    Returns:
        The rules by symbol.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong: with every key, its
            value and what is allowed.
    """
    config = load_config(MarketsConfig, path, env_prefix="OPENSQT_MARKETS_")
    found = {}
    for symbol, market in config.markets.items():
        try:
            found[symbol] = market.rules(symbol)
        except InstrumentRuleError as error:
            raise refuse(f"markets.{symbol}", symbol, str(error)) from None
    return found


def pick_markets(
    markets: Mapping[str, MarketRules], symbols: Iterable[str], path: Path
) -> Mapping[str, MarketRules]:
    """The rules of some symbols.

    Raises:
        ConfigError: One of them has none: naming the file and what is listed there.
    """
    wanted = list(symbols)
    for symbol in wanted:
        if symbol not in markets:
            raise refuse("symbol", symbol, f"{path} lists {', '.join(markets)}")
    return {symbol: markets[symbol] for symbol in wanted}
