"""Where a grid's levels are: whole intervals away from an anchor that never moves.

Levels are numbered; number 0 is the anchor. Because the anchor is persisted once, a restart finds
the very same levels, however far the price has gone.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from opensqt.core.numbers import EXACT, is_multiple


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Levels at ``anchor + number * interval``, in quote per base."""

    anchor: Decimal
    interval: Decimal

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise ValueError(f"interval is {self.interval}; it must be positive")
        if self.anchor <= 0:
            raise ValueError(f"anchor is {self.anchor}; it must be positive")

    def price(self, level: int) -> Decimal:
        """The price of a level; not positive for levels far below the anchor."""
        return self.anchor + level * self.interval

    def contains(self, price: Decimal) -> bool:
        """Tell whether `price` is one of the levels."""
        return is_multiple(price - self.anchor, self.interval)

    def at_or_below(self, price: Decimal) -> int:
        """The highest level whose price is not above `price`."""
        return self._level(price, ROUND_FLOOR)

    def at_or_above(self, price: Decimal) -> int:
        """The lowest level whose price is not below `price`."""
        return self._level(price, ROUND_CEILING)

    def nearest(self, price: Decimal) -> int:
        """The level nearest to `price`; of two, the even one."""
        return self._level(price, ROUND_HALF_EVEN)

    def _level(self, price: Decimal, rounding: str) -> int:
        return int(
            EXACT.divide(price - self.anchor, self.interval).to_integral_value(rounding=rounding)
        )
