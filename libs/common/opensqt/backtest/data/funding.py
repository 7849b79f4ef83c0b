"""How long the interval was that a funding settled: never assumed, told or seen in the spacing."""

from typing import Final

import numpy as np

from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.table import Table

_HOUR_NS: Final = 3_600_000_000_000
_JITTER_NS: Final = 60_000_000_000
_HOURS: Final = (1, 2, 4, 8)
"""Intervals that exchanges settle at."""


def interval_minutes(table: Table, problems: Problems, within: Flags | None = None) -> Ints:
    """The interval of each settlement in minutes; 0: unknown.

    It is what the table says. Where it does not say, it is the time since the settlement before,
    and of the first one that to the next, if the next one's is the same. A time that no exchange
    settles at, or one that is longer than the same interval before and after it, is that of a
    missing row.

    Args:
        table: Fundings.
        problems: Takes what is unknown.
        within: Of which settlements it is wanted; None: of all.

    Raises:
        DamagedData: An interval is unknown, and that is not allowed.
    """
    told = table.whole.get("interval_hours", np.zeros(len(table), dtype=np.int64))
    hours = np.where(told > 0, told, _from_spacing(table.time_ns))
    wanted = np.ones(len(table), dtype=np.bool_) if within is None else within
    unknown = np.flatnonzero((hours == 0) & wanted)
    if len(unknown):
        row = int(unknown[0])
        problems.found(
            "funding_interval",
            table.path,
            int(table.line[row]),
            "the interval of the settlement is not told, and its neighbours do not show it; "
            "allowed is a column interval_hours with a whole number of hours",
            done="unknown",
            count=len(unknown),
        )
    seen = int(((told <= 0) & (hours > 0) & wanted).sum())
    if seen:
        problems.remark(
            "funding_interval_seen",
            seen,
            f"{table.path.name}: the interval of {seen} settlements is taken from their spacing",
        )
    return hours * 60


def _from_spacing(time_ns: Ints) -> Ints:
    hours = np.zeros(len(time_ns), dtype=np.int64)
    steps = np.diff(time_ns)
    whole = (steps + _HOUR_NS // 2) // _HOUR_NS
    whole[(np.abs(steps - whole * _HOUR_NS) > _JITTER_NS) | ~np.isin(whole, _HOURS)] = 0
    if len(whole) > 2:
        lonely = (whole[1:-1] > whole[2:]) & (whole[:-2] == whole[2:]) & (whole[2:] > 0)
        whole[1:-1][lonely] = 0
    hours[1:] = whole
    if len(whole) > 1 and whole[0] == whole[1]:
        hours[0] = whole[0]
    return hours
