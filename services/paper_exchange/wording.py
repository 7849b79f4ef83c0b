"""How Binance writes numbers and times.

Every market has a number of decimals for prices and one for quantities, those of its tick and step
as they are configured (BTCUSDT's tick is "0.10", so its prices have two), and writes them out to
the last zero: some clients take the precision of a price from its text. Averages may have more.
Money has eight. Times are milliseconds.
"""

from decimal import Decimal
from typing import Final

from opensqt.core.instrument import Instrument
from opensqt.core.numbers import EXACT, plain

_AVERAGE_STEP: Final = Decimal("1E-10")


class Wording:
    """The numbers of one market."""

    __slots__ = ("price_decimals", "quantity_decimals")

    def __init__(self, instrument: Instrument) -> None:
        self.price_decimals = _decimals_as_written(instrument.tick_size)
        self.quantity_decimals = _decimals_as_written(instrument.step_size)

    def price(self, value: Decimal) -> str:
        """A price, or an average of prices to at most ten decimals."""
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -10:
            value = EXACT.quantize(value, _AVERAGE_STEP)
        return padded(value, self.price_decimals)

    def quantity(self, value: Decimal) -> str:
        """A quantity in base."""
        return padded(value, self.quantity_decimals)

    def notional(self, value: Decimal) -> str:
        """A price times a quantity."""
        return padded(value, self.price_decimals + self.quantity_decimals)


def money(value: Decimal) -> str:
    """An amount of the quote asset; what is finer than eight decimals is kept up to ten."""
    return padded(EXACT.quantize(value, _AVERAGE_STEP), 8)


def ratio(value: Decimal) -> str:
    """A rate or share."""
    return plain(value)


def ms(time_ns: int) -> int:
    """A time."""
    return time_ns // 1_000_000


def decimals_of(value: Decimal) -> int:
    """How many decimals a number needs."""
    return _decimals_as_written(value.normalize())


def padded(value: Decimal, decimals: int) -> str:
    """A number with at least so many decimals, and with more only if it needs them."""
    text = plain(value)
    whole, point, fraction = text.partition(".")
    if not decimals and not point:
        return whole
    return f"{whole}.{fraction.ljust(decimals, '0')}"


def _decimals_as_written(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
