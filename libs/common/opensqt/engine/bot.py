"""A bot: what it trades, and how."""

from dataclasses import dataclass, field
from decimal import Decimal

from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.grid.config import GridConfig
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import round_to
from opensqt.core.risk.exposure import FreshnessBounds


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
