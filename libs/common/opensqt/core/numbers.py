"""Exact numbers: prices, quantities and money are `Decimal`, never `float`.

A number from outside comes in through `parse_decimal`, which refuses what is not a finite decimal,
and goes out through `plain`, which never uses an exponent.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final

ZERO: Final = Decimal(0)

MAX_DIGITS: Final = 34
"""Digits that a number from outside may have; more is an attack or a fault, not a price."""

MAX_EXPONENT: Final = 30
"""Largest power of ten, up or down, of a number from outside."""

EXACT: Final = Context(prec=60)
"""Wide enough that sums and products of our numbers are exact; used for divisions, explicitly."""


class NotExactError(ValueError):
    """A value that should be an exact decimal number is missing, malformed or not finite."""


def parse_decimal(value: str | int | Decimal, *, name: str = "value") -> Decimal:
    """Read an exact decimal number.

    Args:
        value: Decimal text such as ``"61800.30"``, an integer, or a Decimal. A float is refused,
            since it has lost its exactness before it came here.
        name: What the number is, for the error.

    Raises:
        NotExactError: Empty, malformed, NaN, infinite, or longer than any price can be.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise NotExactError(f"{name}: {value!r} is not exact; give decimal text such as '0.001'")
    if isinstance(value, str) and len(value) > MAX_DIGITS + MAX_EXPONENT:
        raise NotExactError(f"{name}: {len(value)} characters is longer than any price can be")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise NotExactError(
            f"{name}: {value!r} is not a decimal number; allowed is text such as '61800.30'"
        ) from None
    if not number.is_finite():
        raise NotExactError(f"{name}: {value!r} is not finite; allowed is text such as '61800.30'")
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) > MAX_DIGITS or abs(exponent) > MAX_EXPONENT:
        raise NotExactError(f"{name}: {value!r} has more than {MAX_DIGITS} digits")
    return number


def plain(number: Decimal) -> str:
    """Write a number without exponent and without needless zeros: ``1E+2`` is ``"100"``."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def is_multiple(number: Decimal, step: Decimal) -> bool:
    """Tell whether `number` lies exactly on the lattice of `step`."""
    return EXACT.remainder(number, step) == 0


def floor_to(number: Decimal, step: Decimal) -> Decimal:
    """Round down (toward minus infinity) to a multiple of `step`."""
    return _to_step(number, step, ROUND_FLOOR)


def ceil_to(number: Decimal, step: Decimal) -> Decimal:
    """Round up (toward plus infinity) to a multiple of `step`."""
    return _to_step(number, step, ROUND_CEILING)


def round_to(number: Decimal, step: Decimal) -> Decimal:
    """Round to the nearest multiple of `step`, ties to the even one."""
    return _to_step(number, step, ROUND_HALF_EVEN)


def least_count(number: Decimal, step: Decimal) -> int:
    """The least count of steps that is not below `number`."""
    return int(_count(number, step, ROUND_CEILING))


def most_count(number: Decimal, step: Decimal) -> int:
    """The highest count of steps that is not above `number`."""
    return int(_count(number, step, ROUND_FLOOR))


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Divide with 60 significant digits, whatever the caller's decimal context is."""
    return EXACT.divide(numerator, denominator)


def _to_step(number: Decimal, step: Decimal, rounding: str) -> Decimal:
    return EXACT.multiply(_count(number, step, rounding), step)


def _count(number: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= 0:
        raise ValueError(f"step must be positive, got {step}")
    return EXACT.divide(number, step).to_integral_value(rounding=rounding)
