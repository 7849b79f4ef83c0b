"""Whether data reaches as far as was asked for, and that of several symbols equally far.

A run over a month of which the data holds a week is one of a week; nobody should take it for more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.table import Table
from opensqt.backtest.data.sources.times import lasting, utc
from opensqt.backtest.tape import DataNote, Tape

_S: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _S
_SHARE: Final = 10
"""A symbol that lacks more than the tenth part of what another one spans is said to."""


def say_uncovered(
    tables: Sequence[Table],
    candle_s: int | None,
    start_ns: int | None,
    end_ns: int | None,
    problems: Problems,
) -> None:
    """Count it when data begins late in the span that was asked for, or ends early.

    Late is more than a candle; without candles more than a minute, and longer than the market was
    ever silent.

    Args:
        tables: Those of a market.
        candle_s: How long its candles are; None: it has none.
        start_ns: From when on data is wanted; None: from its own beginning.
        end_ns: Until before when.
        problems: Takes what is missing.

    Raises:
        DamagedData: Something is missing, and that is not allowed.
    """
    if start_ns is None and end_ns is None:
        return
    filled = [table for table in tables if len(table)]
    first = min(filled, key=lambda table: int(table.time_ns.min()))
    last = max(filled, key=lambda table: int(table.time_ns.max()))
    begins_ns = int(first.time_ns.min())
    ends_ns = int(last.time_ns.max()) + (candle_s or 0) * _S
    usual_ns = candle_s * _S if candle_s else max(_MINUTE_NS, min(map(_silence_ns, filled)))
    if start_ns is not None and begins_ns - start_ns > usual_ns:
        problems.found(
            "begins_late",
            first.path,
            0,
            f"data begins {utc(begins_ns)}, {lasting(begins_ns - start_ns)} after the beginning "
            f"that was asked for, {utc(start_ns)}",
            done="the run begins with the data",
        )
    if end_ns is not None and end_ns - ends_ns > usual_ns:
        problems.found(
            "ends_early",
            last.path,
            0,
            f"data ends {utc(ends_ns)}, {lasting(end_ns - ends_ns)} before the end that was asked "
            f"for, {utc(end_ns)}",
            done="the run ends with the data",
        )


def compared(
    tapes: Mapping[str, Tape],
    path: Path,
    *,
    strict: bool,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> dict[str, Tape]:
    """The tapes, with a note on each that begins much later or ends much earlier than another.

    Args:
        tapes: By symbol.
        path: Where they were read, for messages.
        strict: Whether that is an error.
        start_ns: What was asked for; `say_uncovered` has told who does not reach it.
        end_ns: In the same way.

    Raises:
        DamagedData: There is one, and `strict`.
    """
    spans = {symbol: _span(tape) for symbol, tape in tapes.items()}
    if not spans:
        return {}
    first_ns = min(begin for begin, _ in spans.values())
    last_ns = max(end for _, end in spans.values())
    much_ns = max((last_ns - first_ns) // _SHARE, _MINUTE_NS)
    told = {}
    for symbol, tape in tapes.items():
        begin, end = spans[symbol]
        notes = []
        if start_ns is None and begin - first_ns > much_ns:
            text = (
                f"{symbol}: data begins {utc(begin)}, {lasting(begin - first_ns)} after another's"
            )
            notes.append(DataNote(kind="begins_late", count=1, text=text))
        if end_ns is None and last_ns - end > much_ns:
            text = f"{symbol}: data ends {utc(end)}, {lasting(last_ns - end)} before another's"
            notes.append(DataNote(kind="ends_early", count=1, text=text))
        if notes and strict:
            raise DamagedData(path, 0, notes[0].text)
        told[symbol] = replace(tape, notes=(*tape.notes, *notes)) if notes else tape
    return told


def _silence_ns(table: Table) -> int:
    """The longest time without a row."""
    return int(np.diff(np.sort(table.time_ns)).max()) if len(table) > 1 else 0


def _span(tape: Tape) -> tuple[int, int]:
    """When the first and the last thing happened in a market."""
    times = [part.time_ns for part in (tape.trades, tape.quotes) if len(part)]
    return min(int(time[0]) for time in times), max(int(time[-1]) for time in times)
