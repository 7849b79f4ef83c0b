"""Walk-forward windows: choose on one stretch of history, judge on the one that follows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from opensqt.backtest.columns import Columns
from opensqt.backtest.tape import Fundings, Marks, Quotes, Tape, Trades

AnyColumns = TypeVar("AnyColumns", Trades, Quotes, Marks, Fundings)


class TooLittleHistoryError(ValueError):
    """The data is shorter than the windows that are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, in nanoseconds since 1970 UTC: from `start_ns` until before `end_ns`."""

    start_ns: int
    end_ns: int

    def __str__(self) -> str:
        return f"{_date(self.start_ns)} to {_date(self.end_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """How history is cut, in nanoseconds."""

    train_ns: int
    test_ns: int
    step_ns: int
    """From one window's beginning to the next one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where settings are chosen, and where they are judged."""

    number: int
    train: Span
    test: Span | None = None
    """None: they are for what comes after the data."""


def windows(history: Span, walk: WalkForward | None) -> tuple[Window, ...]:
    """The windows over a history.

    Without walk-forward it is one window, and nothing is left to judge on. With it, there are as
    many complete pairs of train and test as fit, and one window more: the latest history of the
    same length, which chooses the settings to trade from now on.

    Raises:
        TooLittleHistoryError: Not even one pair fits.
    """
    if walk is None:
        return (Window(number=0, train=history),)
    found: list[Window] = []
    start = history.start_ns
    while start + walk.train_ns + walk.test_ns <= history.end_ns:
        turn = start + walk.train_ns
        found.append(
            Window(
                number=len(found),
                train=Span(start_ns=start, end_ns=turn),
                test=Span(start_ns=turn, end_ns=turn + walk.test_ns),
            )
        )
        start += walk.step_ns
    if not found:
        hours = (history.end_ns - history.start_ns) / 3.6e12
        asked = (walk.train_ns + walk.test_ns) / 3.6e12
        raise TooLittleHistoryError(
            f"the data spans {hours:.1f} hours ({history}); "
            f"one train and one test window together take {asked:.1f}"
        )
    latest = Span(start_ns=history.end_ns - walk.train_ns, end_ns=history.end_ns)
    return (*found, Window(number=len(found), train=latest))


def history_of(tapes: Sequence[Tape]) -> Span:
    """From the first to the last thing that happened in some markets."""
    times = [
        table.time_ns for tape in tapes for table in (tape.trades, tape.quotes) if len(table) > 0
    ]
    if not times:
        raise TooLittleHistoryError("the data has no trades")
    return Span(
        start_ns=int(min(time[0] for time in times)),
        end_ns=int(max(time[-1] for time in times)) + 1,
    )


def between(tape: Tape, span: Span) -> Tape:
    """What happened on a tape within a span; the columns are views, nothing is copied.

    Raises:
        TooLittleHistoryError: There are no trades in it.
    """
    cut = replace(
        tape,
        trades=_cut(tape.trades, span),
        quotes=_cut(tape.quotes, span),
        marks=_cut(tape.marks, span),
        fundings=_cut(tape.fundings, span),
    )
    if len(cut.trades) == 0:
        raise TooLittleHistoryError(f"{tape.symbol}: no trades in {span}")
    return cut


def _cut(table: AnyColumns, span: Span) -> AnyColumns:
    assert isinstance(table, Columns)
    start, end = np.searchsorted(table.time_ns, (span.start_ns, span.end_ns))
    return table.taken(slice(int(start), int(end)))


def _date(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
