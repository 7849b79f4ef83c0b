"""Trading rules of the markets that a backtest may trade, from a file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from opensqt.core.exchange.rules import MarketRules
from opensqt.core.instrument import InstrumentRuleError
from opensqt.core.numbers import is_multiple
from opensqt.runtime.config import load_config, refuse
from opensqt.runtime.config_models import ConfigModel
from opensqt.runtime.market_config import TradingRulesConfig

DEFAULT_MARKETS: Final = Path("config/markets.binance_usdm.yaml")
"""The rules that the project brings along."""


class MarketsConfig(ConfigModel):
    """A file of markets."""

    markets: dict[str, TradingRulesConfig] = Field(min_length=1)
    """By the exchange's own symbol."""

    @field_validator("markets")
    @classmethod
    def _on_the_step(cls, markets: dict[str, TradingRulesConfig]) -> dict[str, TradingRulesConfig]:
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
