"""Average true range: how wide the market breathes in one candle.

Wilder's definition (New Concepts in Technical Trading Systems, 1978): the true range of a candle is
the largest of high - low, |high - previous close| and |low - previous close|; the average starts
as the mean of the first `period` ranges and then moves by one `period`-th of each new one.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from opensqt.core.events import Candle
from opensqt.core.numbers import EXACT, ZERO, divide, round_to

RANGE_STEP: Final = Decimal("1e-12")
"""The average is kept at this precision, so that it does not grow digits for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atr:
    """The average true range of the closed candles that it was shown, in quote."""

    period: int
    """Candles that the average looks back on."""
    count: int = 0
    average: Decimal = ZERO
    last_close: Decimal | None = None
    last_open_time_ns: int = -1

    def __post_init__(self) -> None:
        if self.period < 1:
            raise ValueError(f"period is {self.period}; it must be 1 or more")

    @property
    def value(self) -> Decimal | None:
        """The average; None until `period` candles were seen."""
        return self.average if self.count >= self.period else None

    def after(self, candle: Candle) -> "Atr":
        """The average after one more closed candle; an open or an older one changes nothing."""
        if not candle.closed or candle.open_time_ns <= self.last_open_time_ns:
            return self
        true_range = candle.high - candle.low
        if self.last_close is not None:
            up, down = abs(candle.high - self.last_close), abs(candle.low - self.last_close)
            true_range = max(true_range, up, down)
        weight = min(self.count + 1, self.period)
        total = EXACT.multiply(self.average, Decimal(weight - 1)) + true_range
        return replace(
            self,
            count=self.count + 1,
            average=round_to(divide(total, Decimal(weight)), RANGE_STEP),
            last_close=candle.close,
            last_open_time_ns=candle.open_time_ns,
        )
