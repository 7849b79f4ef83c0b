"""A grid's settings, and the rules that they must keep among themselves."""

from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.numbers import ZERO, is_multiple, plain


class GridConfigError(ValueError):
    """A setting that makes no sense: which one, its value, and what is allowed."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(f"{key} is {value}; allowed: {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AtrSpacing:
    """Widens the spacing in a lively market: every m-th level, m following the ATR."""

    period: int = 14
    """Closed one-minute candles that the average true range looks back on."""
    multiple: Decimal = Decimal(1)
    """The spacing aimed at, in average true ranges."""
    max_spacing: int = 8
    """At most every this many levels."""

    def __post_init__(self) -> None:
        for key, value in (("period", self.period), ("max_spacing", self.max_spacing)):
            if value < 1:
                raise GridConfigError(f"atr.{key}", value, "1 or more")
        if self.multiple <= 0:
            raise GridConfigError("atr.multiple", plain(self.multiple), "more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridConfig:
    """How a grid trades. Prices in quote per base, quantities in base."""

    interval: Decimal
    """Distance of neighbouring levels, in quote; a multiple of the tick."""
    buy_levels: int
    """Levels below the market on which orders may rest."""
    sell_levels: int
    """Levels above the market on which orders may rest."""
    quantity: Decimal | None = None
    """Fixed quantity of each level; this or `quote_amount`."""
    quote_amount: Decimal | None = None
    """Fixed quote amount of each level."""
    max_open_orders: int = 100
    max_position: Decimal | None = None
    """Largest |position| that openings may build, open orders included; None: no bound."""
    post_only: bool = True
    skew_levels: int = 0
    """Levels by which openings step back when the position is at `max_position`; less below it."""
    slack_levels: int = 1
    """Levels beyond the window at which a resting order is still kept, against needless moves."""
    atr: AtrSpacing | None = None
    max_actions: int = 20
    """Most actions of one decision; what is left over is decided next."""

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise GridConfigError("interval", plain(self.interval), "more than 0")
        bounds = {
            "buy_levels": (self.buy_levels, 0),
            "sell_levels": (self.sell_levels, 0),
            "max_open_orders": (self.max_open_orders, 1),
            "skew_levels": (self.skew_levels, 0),
            "slack_levels": (self.slack_levels, 0),
            "max_actions": (self.max_actions, 1),
        }
        for key, (value, least) in bounds.items():
            if value < least:
                raise GridConfigError(key, value, f"{least} or more")
        if self.buy_levels + self.sell_levels == 0:
            raise GridConfigError("buy_levels", 0, "1 or more on at least one side")
        if (self.quantity is None) == (self.quote_amount is None):
            raise GridConfigError(
                "quantity", self.quantity or "missing", "exactly one of quantity and quote_amount"
            )
        for key in ("quantity", "quote_amount", "max_position"):
            number: Decimal | None = getattr(self, key)
            if number is not None and number <= ZERO:
                raise GridConfigError(key, plain(number), "more than 0")
        if self.skew_levels and self.max_position is None:
            raise GridConfigError(
                "skew_levels", self.skew_levels, "0, unless max_position says what full means"
            )

    def check_tick(self, tick_size: Decimal) -> None:
        """Refuse an interval that would put levels between two ticks.

        Raises:
            GridConfigError: Naming the tick.
        """
        if not is_multiple(self.interval, tick_size):
            raise GridConfigError(
                "interval", plain(self.interval), f"multiples of the tick {plain(tick_size)}"
            )
