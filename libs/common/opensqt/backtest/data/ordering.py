"""The tables of a tape in one order: which came first where several tell of the same time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from opensqt.backtest.columns import Ints
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.tape import Fundings, Marks, Quotes, Trades


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The tables of a tape, on their way to a common order."""

    trades: Trades
    quotes: Quotes
    marks: Marks
    fundings: Fundings

    def in_order(self, problems: Problems, path: Path) -> Self:
        """The market's own tables, in the order of `row`: that of the lines of a recording.

        Raises:
            DamagedData: In that order time goes back, and that is not allowed.
        """
        tables = (self.trades, self.quotes, self.marks)
        if sum(map(bool, map(len, tables))) > 1:
            back = _goes_back(tables)
            if back:
                problems.found("time_travel", path, back, "time goes back", done="sorted by time")
                places = _by_time_and_row(tables)
            else:
                places = ranks([table.row for table in tables])
        else:
            places = tuple(np.arange(len(table), dtype=np.int64) for table in tables)
        return replace(
            self,
            trades=replace(self.trades, row=places[0]),
            quotes=replace(self.quotes, row=places[1]),
            marks=replace(self.marks, row=places[2]),
        )

    def with_beside(self, marks: Marks | None, fundings: Fundings) -> Self:
        """The market in its order, with what comes from files beside it put where its time is."""
        if not len(fundings) and (marks is None or not len(marks)):
            return self
        market = (self.trades, self.quotes, self.marks)
        beside = Marks.empty() if marks is None else marks
        filled = [table for table in market if len(table)]
        if len(filled) == 1:
            times = filled[0].time_ns
        else:
            times = np.empty(sum(map(len, market)), dtype=np.int64)
            for table in filled:
                times[table.row] = table.time_ns
        of_marks, of_fundings, at = ranks([beside.time_ns, fundings.time_ns, times])
        return replace(
            self,
            trades=replace(self.trades, row=at[self.trades.row]),
            quotes=replace(self.quotes, row=at[self.quotes.row]),
            marks=replace(self.marks, row=at[self.marks.row])
            if marks is None
            else replace(marks, row=of_marks),
            fundings=replace(fundings, row=of_fundings),
        )


def ranks(keys: Sequence[Ints]) -> tuple[Ints, ...]:
    """The place of every row among those of all tables.

    Args:
        keys: What each table is sorted by, such as its times. Of equal ones those of an earlier
            table come first.
    """
    places = [np.arange(len(key), dtype=np.int64) for key in keys]
    for index, key in enumerate(keys):
        for other, others in enumerate(keys):
            if other != index and len(others) and len(key):
                side = "left" if other < index else "right"
                at = np.searchsorted(key, others, side=side)  # type: ignore[call-overload]
                places[index] += np.cumsum(np.bincount(at, minlength=len(key) + 1)[: len(key)])
    return tuple(places)


def _goes_back(tables: Sequence[Trades | Quotes | Marks]) -> int:
    """The line where, in the order of lines, time goes back; 0: nowhere."""
    if any(np.any(np.diff(table.row) <= 0) for table in tables):
        return 1
    places = ranks([table.row for table in tables])
    times = np.empty(sum(map(len, tables)), dtype=np.int64)
    lines = np.empty_like(times)
    for table, place in zip(tables, places, strict=True):
        times[place], lines[place] = table.time_ns, table.row
    back = np.flatnonzero(np.diff(times) < 0)
    return int(lines[back[0] + 1]) if len(back) else 0


def _by_time_and_row(tables: Sequence[Trades | Quotes | Marks]) -> tuple[Ints, ...]:
    times = np.concatenate([table.time_ns for table in tables])
    rows = np.concatenate([table.row for table in tables])
    places = np.empty(len(times), dtype=np.int64)
    places[np.lexsort((rows, times))] = np.arange(len(times))
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return tuple(np.split(places, ends))
