"""A bot: what it trades, and how."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.grid.config import GridConfig
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import round_to
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.runtime.bot_config import BotConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """What a bot is and how it trades."""

    bot_id: str
    account: str
    symbol: str
    direction: Direction
    anchor: Decimal | None
    """A level of the grid; None: the first price, rounded to the interval. Kept for ever."""
    grid: GridConfig
    instrument: Instrument
    bounds: FreshnessBounds = field(default_factory=FreshnessBounds)

    @classmethod
    def of(
        cls,
        config: BotConfig,
        instrument: Instrument,
        *,
        account: str | None = None,
        bounds: FreshnessBounds | None = None,
    ) -> Self:
        """The bot that a trader configured: the same wherever it trades.

        Args:
            config: As it was written.
            instrument: The rules of its symbol.
            account: The one it trades on, if not that of its configuration.
            bounds: How old its prices may be, if not as by default.
        """
        return cls(
            bot_id=config.bot_id,
            account=config.account if account is None else account,
            symbol=config.symbol,
            direction=config.grid.direction,
            anchor=config.grid.anchor,
            grid=config.grid.to_core(),
            instrument=instrument,
            bounds=FreshnessBounds() if bounds is None else bounds,
        )

    def identity(self, price: Decimal) -> GridIdentity:
        """The grid to register when `price` is the first one seen."""
        interval = self.grid.interval
        return GridIdentity(
            bot_id=self.bot_id,
            account=self.account,
            symbol=self.symbol,
            quote=self.instrument.quote,
            direction=self.direction,
            anchor=self.anchor or max(round_to(price, interval), interval),
            interval=interval,
            epoch=0,  # the state service chooses it
        )
