"""A run cut at midnight UTC, or at the first of each month: what each part of it came to.

The first and the last part are as long as the run is in them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from opensqt.backtest.columns import Ints
from opensqt.backtest.figures.timeline import AccountPath, Floats

SECOND_NS: Final = 10**9
HOUR_NS: Final = 3_600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS
_ROUNDING: Final = 1e-11
"""Share of an equity that floats may lose on the way to it."""


class Cut(StrEnum):
    """Where a run is cut."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a month of an account."""

    start_ns: int
    end_ns: int
    profit: float
    """Equity at the end less equity at the start, in quote."""
    share: float | None
    """Profit over the equity at the start; None if none was left."""


def periods_of(
    path: AccountPath, start_ns: int, end_ns: int, *, final: float, cut: Cut
) -> tuple[Period, ...]:
    """The parts of a run, in order; none of a run without a length.

    Args:
        path: The account.
        start_ns: Of the run.
        end_ns: Of the run.
        final: The equity at the end; what happens after the last price is in it alone.
        cut: Where to cut.
    """
    edges = _edges(start_ns, end_ns, cut)
    if len(edges) < 2:
        return ()
    # Up to each edge, and not what happens at it: that belongs to the part that it begins.
    equity: Floats = path.at(np.array(edges, dtype=np.int64) - 1).equity
    equity[0], equity[-1] = path.deposit, final
    worth = equity.tolist()
    return tuple(
        Period(
            start_ns=edges[i],
            end_ns=edges[i + 1],
            profit=_change(worth[i], worth[i + 1]),
            share=_change(worth[i], worth[i + 1]) / worth[i] if worth[i] > 0 else None,
        )
        for i in range(len(edges) - 1)
    )


def _change(before: float, after: float) -> float:
    """What was gained; what is only the rounding of floats is nothing."""
    gained = after - before
    return gained if abs(gained) > _ROUNDING * max(abs(before), abs(after)) else 0.0


def longest_drawdown_ns(path: AccountPath, start_ns: int, end_ns: int) -> int:
    """The longest time from a height of the equity to the next as high, by the hour.

    A drawdown that lasts to the end counts up to there.
    """
    times: Ints = np.append(np.arange(start_ns, end_ns, HOUR_NS, dtype=np.int64), end_ns)
    equity = path.at(times).equity
    heights = np.flatnonzero(equity >= np.maximum.accumulate(equity))
    # Between two heights next to each other the equity was not seen below the first.
    until = np.append(heights[1:], len(times) - 1)
    lasted = (times[until] - times[heights])[until - heights > 1]
    fell_last = equity[-1] < equity[heights[-1]]
    if fell_last:
        lasted = np.append(lasted, times[-1] - times[heights[-1]])
    return int(lasted.max()) if len(lasted) else 0


def _edges(start_ns: int, end_ns: int, cut: Cut) -> list[int]:
    """The start, every midnight or first of a month within, and the end."""
    edges = [start_ns]
    time = datetime.fromtimestamp(start_ns // SECOND_NS, tz=UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    while True:
        time = _next(time, cut)
        edge = int(time.timestamp()) * SECOND_NS
        if edge >= end_ns:
            break
        edges.append(edge)
    return [*edges, end_ns] if end_ns > start_ns else edges


def _next(midnight: datetime, cut: Cut) -> datetime:
    if cut is Cut.DAY:
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
