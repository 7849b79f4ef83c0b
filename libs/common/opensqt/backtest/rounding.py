"""Rounding of whole numbers, as the exchange and the slots round money."""


def half_even(numerator: int, denominator: int) -> int:
    """The nearest whole number to a fraction with a positive denominator; of two, the even one."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole & 1))
