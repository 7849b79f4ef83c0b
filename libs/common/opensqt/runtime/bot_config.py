"""The configuration of a trader's grid bot, as a shell around the core's own grid configuration.

The rules that the settings must keep among themselves are the core's (`core/grid/config.py`); here
they only get their types, their texts for `config schema`, and their place in the YAML file.
"""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import AtrSpacing, GridConfig, GridConfigError
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.core.numbers import plain
from opensqt.runtime.config import refuse
from opensqt.runtime.config_models import ConfigModel, ExactDecimal

BotId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
AccountName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9_]{2,30}$")]


class AtrConfig(ConfigModel):
    """Widens the grid's spacing in a lively market."""

    period: int = Field(default=14, ge=1, le=1000)
    """One-minute candles that the average true range looks back on."""
    multiple: ExactDecimal = Field(default=Decimal(1), gt=0)
    """The spacing aimed at, in average true ranges."""
    max_spacing: int = Field(default=8, ge=1, le=1000)
    """At most every this many levels is used."""


class GridBotConfig(ConfigModel):
    """How the grid trades. Prices in quote per base, quantities in base."""

    direction: Direction
    """LONG buys dips and sells rises, SHORT the reverse, NEUTRAL both."""
    interval: ExactDecimal = Field(gt=0)
    """Distance of neighbouring levels, in quote; a multiple of the exchange's tick."""
    anchor: ExactDecimal | None = Field(default=None, gt=0)
    """A price that is a level of the grid; left out: the first price seen. Kept for ever."""
    buy_levels: int = Field(ge=0, le=500)
    """Levels below the market on which orders may rest."""
    sell_levels: int = Field(ge=0, le=500)
    """Levels above the market on which orders may rest."""
    quantity: ExactDecimal | None = Field(default=None, gt=0)
    """Quantity of every level; this or quote_amount."""
    quote_amount: ExactDecimal | None = Field(default=None, gt=0)
    """Quote to spend on every level, rounded down to the exchange's step."""
    max_open_orders: int = Field(default=100, ge=1, le=500)
    """Most open orders at once; the nearest to the market come first."""
    max_position: ExactDecimal | None = Field(default=None, gt=0)
    """Largest position that openings may build, in base."""
    post_only: bool = True
    """Never take liquidity."""
    skew_levels: int = Field(default=0, ge=0, le=100)
    """Levels that openings step back when the position is at max_position."""
    slack_levels: int = Field(default=1, ge=0, le=100)
    """Levels beyond the window at which a resting order is still kept."""
    atr: AtrConfig | None = None
    """Scales the interval with the market's range; left out: it stays as it is."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            self.to_core()
        except GridConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def to_core(self) -> GridConfig:
        """The settings as the strategy takes them.

        Raises:
            GridConfigError: They contradict each other.
        """
        return GridConfig(
            interval=self.interval,
            buy_levels=self.buy_levels,
            sell_levels=self.sell_levels,
            quantity=self.quantity,
            quote_amount=self.quote_amount,
            max_open_orders=self.max_open_orders,
            max_position=self.max_position,
            post_only=self.post_only,
            skew_levels=self.skew_levels,
            slack_levels=self.slack_levels,
            atr=AtrSpacing(
                period=self.atr.period,
                multiple=self.atr.multiple,
                max_spacing=self.atr.max_spacing,
            )
            if self.atr
            else None,
        )


class BotConfig(ConfigModel):
    """What a trader says about one bot."""

    bot_id: BotId
    """Names the bot in the state, in its order ids and in every answer."""
    account: AccountName = "paper"
    """The account that it trades on."""
    symbol: Symbol
    """The exchange's name of the market, such as BTCUSDT."""
    grid: GridBotConfig

    def check_instrument(self, instrument: Instrument, price: Decimal) -> None:
        """Refuse settings that the exchange's rules make impossible.

        Args:
            instrument: The rules of the bot's symbol.
            price: The market now, which turns a quote amount into a quantity.

        Raises:
            ConfigError: Naming the key, its value, and what is allowed.
        """
        grid = self.grid.to_core()
        try:
            grid.check_tick(instrument.tick_size)
        except GridConfigError as error:
            raise refuse(f"grid.{error.key}", error.value, error.allowed) from None
        key = "grid.quantity" if grid.quantity is not None else "grid.quote_amount"
        given = grid.quantity if grid.quantity is not None else grid.quote_amount
        assert given is not None
        quantity = grid.quantity or instrument.quantity_for_quote(given, price)
        try:
            instrument.check_order(
                price=instrument.round_price(price), quantity=quantity, reduce_only=False
            )
        except InstrumentRuleError as error:
            raise refuse(key, plain(given), f"an order that the exchange takes ({error})") from None
