"""Sums: whole numbers beyond what 64 bits multiply."""

from opensqt.backtest.integer.compiled import part
from opensqt.backtest.integer.records import LARGEST

BITS = 62


@part
def share(amount: int, of: int, whole: int) -> int:
    """``amount * of / whole``, rounded half to even.

    All of them are below `LARGEST`, and so is the result; `whole` is positive.
    """
    sign = 1
    if amount < 0:
        amount, sign = -amount, -sign
    if of < 0:
        of, sign = -of, -sign
    if float(amount) * float(of) < float(LARGEST):
        product = amount * of
        count = product // whole
        rest = product - count * whole
    else:
        count, rest = _divided(amount, of, whole)
    twice = 2 * rest
    if twice > whole or (twice == whole and count & 1):
        count += 1
    return sign * count


@part
def _divided(amount: int, of: int, whole: int) -> tuple[int, int]:
    """How often a product has `whole` in it, and what is left; bit by bit."""
    each, more = amount // whole, amount % whole
    count, rest = 0, 0
    for bit in range(BITS, -1, -1):
        count, rest = 2 * count, 2 * rest
        if rest >= whole:
            count, rest = count + 1, rest - whole
        if (of >> bit) & 1:
            count, rest = count + each, rest + more
            if rest >= whole:
                count, rest = count + 1, rest - whole
    return count, rest
