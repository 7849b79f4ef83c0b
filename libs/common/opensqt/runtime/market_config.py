"""The trading rules of a market that is simulated, as they are written down."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from opensqt.core.exchange.rules import Fees, MarketRules
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.runtime.config_models import ConfigModel, ExactDecimal

Positive = Annotated[ExactDecimal, Field(gt=0)]
NotNegative = Annotated[ExactDecimal, Field(ge=0)]
Share = Annotated[ExactDecimal, Field(ge=0, lt=1)]
FeeShare = Annotated[ExactDecimal, Field(gt=Decimal("-0.01"), lt=Decimal("0.05"))]
"""Of the notional; a rebate is negative."""
Leverage = Annotated[int, Field(ge=1, le=125)]


class TradingRulesConfig(ConfigModel):
    """One market's rules, whatever simulates it; what an exchange states has no default here."""

    base: str
    quote: str
    tick_size: Positive
    step_size: Positive
    min_quantity: Positive
    max_quantity: Positive
    min_notional: NotNegative
    maker_fee: FeeShare
    taker_fee: FeeShare
    max_leverage: Leverage
    maintenance_rate: Share
    """Maintenance margin as a share of the position's notional."""
    liquidation_fee: Share
    """What a liquidation costs, as a share of the notional."""
    assumed_depth: Positive
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
