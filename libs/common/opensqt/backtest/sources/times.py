"""Times of files in nanoseconds."""

from typing import Final

import numpy as np

from opensqt.backtest.columns import Ints

_FACTORS: Final = {"_ms": 1_000_000, "_us": 1_000, "_ns": 1}
_MICROSECONDS_FROM: Final = 10**14  # a time of 1973 in microseconds, of the year 5138 in ms
_NANOSECONDS_FROM: Final = 10**17


def to_ns(times: Ints, name: str = "") -> Ints:
    """Times since 1970 UTC, in nanoseconds.

    Args:
        times: In milliseconds, microseconds or nanoseconds; Binance changed them in 2025.
        name: What the file calls them: an ending of ``_ms``, ``_us`` or ``_ns`` says the unit.
            Otherwise the size of each does.
    """
    factor = _FACTORS.get(name.strip().strip('"').lower()[-3:])
    if factor is not None:
        return times * factor
    return np.where(
        times >= _NANOSECONDS_FROM,
        times,
        np.where(times >= _MICROSECONDS_FROM, times * 1_000, times * 1_000_000),
    )
