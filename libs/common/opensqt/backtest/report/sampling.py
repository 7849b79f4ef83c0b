"""A million points as a few thousand, without losing an extreme.

Each of a number of equal spans of time keeps its first and last point, and the points at which any
of the watched curves is highest and lowest there, as they are; nothing is averaged.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from opensqt.backtest.columns import Ints
from opensqt.backtest.figures.timeline import Floats


def telling_points(times: Ints, curves: Sequence[Floats], *, spans: int) -> Ints:
    """Indices of the points to keep, in order.

    Args:
        times: Of the points; never going back.
        curves: What is drawn, a value for each point.
        spans: Into how many spans of time the points are divided.
    """
    if len(times) <= 4 * spans:
        return np.arange(len(times), dtype=np.int64)
    edges = np.linspace(float(times[0]), float(times[-1]), spans + 1)[1:-1].astype(np.int64)
    bounds = [0, *np.searchsorted(times, edges).tolist(), len(times)]
    kept = {0, len(times) - 1}
    for begin, end in pairwise(bounds):
        if begin < end:
            kept.update((begin, end - 1))
            for curve in curves:
                part = curve[begin:end]
                kept.update((begin + int(part.argmin()), begin + int(part.argmax())))
    return np.array(sorted(kept), dtype=np.int64)
