"""What must hold in every table: order, no duplicates, positive numbers, candles that fit together.

What does not is a problem: an error, or a counted note that says what was done. Nothing is ever
filled in.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import numpy as np

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.table import DataKind, Scaled, Table
from opensqt.backtest.data.sources.times import lasting, utc
from opensqt.core.numbers import plain

_POSITIVE: Final = {
    DataKind.TRADES: ("price", "quantity"),
    DataKind.QUOTES: ("bid", "bid_quantity", "ask", "ask_quantity"),
    DataKind.MARKS: ("price",),
    DataKind.CANDLES: ("open", "high", "low", "close"),
    DataKind.MARK_CANDLES: ("open", "high", "low", "close"),
    DataKind.FUNDING: (),
}
PRICES: Final = {
    DataKind.TRADES: ("price",),
    DataKind.QUOTES: ("bid", "ask"),
    DataKind.CANDLES: ("open", "high", "low", "close"),
}
"""Columns that must be on the tick: those of markets. Marks are averages."""
_ONE_AT_A_TIME: Final = frozenset({DataKind.CANDLES, DataKind.MARK_CANDLES, DataKind.FUNDING})
"""Of these there is one row at any time."""
_LEFT_OUT: Final = "left out"


def checked(table: Table, problems: Problems) -> Table:
    """The table without the rows that cannot be used, in the order of time.

    Raises:
        DamagedData: Something is wrong and that is not allowed.
    """
    table = _without_bad_numbers(table, problems)
    table = _in_order(table, problems)
    table = _once(table, problems)
    _look_for_gaps(table, problems)
    return table


def interval_ns(time_ns: Ints) -> int:
    """How far apart rows usually are; 0 with fewer than two."""
    if len(time_ns) < 2:
        return 0
    gaps, counts = np.unique(np.diff(time_ns), return_counts=True)
    return int(gaps[counts.argmax()])


def say_off(  # noqa: PLR0917  # what is off what
    table: Table, name: str, unit: Decimal, off: Flags, kind: str, problems: Problems, *, done: str
) -> None:
    """Count the numbers of a column that are no multiples of a unit; the first is named.

    Raises:
        DamagedData: That is not allowed.
    """
    row = int(off.argmax())
    problems.found(
        kind,
        table.path,
        int(table.line[row]),
        f"{name} is {table.numbers[name].at(row)}; allowed are multiples of {plain(unit)}",
        done=done,
        count=int(off.sum()),
    )


def look_for_off_ticks(table: Table, tick: Decimal, problems: Problems) -> None:
    """Count the prices of a market that its tick does not allow; nothing is changed.

    Raises:
        DamagedData: There is one, and that is not allowed.
    """
    for name in PRICES.get(table.kind, ()):
        try:
            _, off = table.numbers[name].in_unit(tick)
        except ValueError as error:
            raise DamagedData(table.path, 0, f"{name}: {error}") from None
        if off.any():
            say_off(table, name, tick, off, "off_tick", problems, done="a backtest rounds it")


def candles_missing(before_ns: int, after_ns: int, usual_ns: int) -> str:
    """A gap between two candles, for a message."""
    return (
        f"candles are missing between {utc(before_ns)} and {utc(after_ns)}, "
        f"for {lasting(after_ns - before_ns - usual_ns)}"
    )


def _without_bad_numbers(table: Table, problems: Problems) -> Table:
    bad = np.zeros(len(table), dtype=np.bool_)

    def drop(mask: Flags, kind: str, reason: Callable[[int], str]) -> None:
        mask &= ~bad
        counted = mask & problems.within(table.time_ns) if mask.any() else mask
        if counted.any():
            first = int(counted.argmax())
            line = int(table.line[first])
            count = int(counted.sum())
            problems.found(kind, table.path, line, reason(first), done=_LEFT_OUT, count=count)
        bad[mask] = True

    for name in _POSITIVE[table.kind]:
        numbers = table.numbers[name]
        drop(
            numbers.values <= 0,
            "zero_price" if "quantity" not in name else "zero_quantity",
            lambda row, name=name, numbers=numbers: (  # type: ignore[misc]
                f"{name} is {numbers.at(row)}; it must be positive"
            ),
        )
    columns = table.numbers
    if table.kind in (DataKind.CANDLES, DataKind.MARK_CANDLES):
        drop(
            _outside(columns["open"], table) | _outside(columns["close"], table),
            "not_a_candle",
            lambda row: (
                f"low {columns['low'].at(row)} and high {columns['high'].at(row)} do not hold "
                f"open {columns['open'].at(row)} and close {columns['close'].at(row)}"
            ),
        )
    if table.kind is DataKind.CANDLES:
        drop(
            columns["volume"].values < 0,
            "negative_volume",
            lambda row: f"volume is {columns['volume'].at(row)}; it must not be negative",
        )
    if table.kind is DataKind.QUOTES:
        bid, ask = _alike(columns["bid"], columns["ask"])
        drop(
            bid >= ask,
            "crossed_quote",
            lambda row: (
                f"the bid {columns['bid'].at(row)} is not below the ask {columns['ask'].at(row)}"
            ),
        )
    return table.taken(~bad) if bad.any() else table


def _outside(price: Scaled, table: Table) -> Flags:
    at, low = _alike(price, table.numbers["low"])
    above, high = _alike(price, table.numbers["high"])
    outside: Flags = (at < low) | (above > high)
    return outside


def _alike(one: Scaled, other: Scaled) -> tuple[Ints, Ints]:
    """Two columns with the same decimals."""
    decimals = max(one.decimals, other.decimals)
    return (
        one.times(10 ** (decimals - one.decimals)).values,
        other.times(10 ** (decimals - other.decimals)).values,
    )


def _in_order(table: Table, problems: Problems) -> Table:
    back = np.flatnonzero(np.diff(table.time_ns) < 0)
    if not len(back):
        return table
    near = problems.within(table.time_ns)
    counted = back[near[back] | near[back + 1]]
    if len(counted):
        row = int(counted[0]) + 1
        before, after = int(table.time_ns[row - 1]), int(table.time_ns[row])
        problems.found(
            "time_travel",
            table.path,
            int(table.line[row]),
            f"time goes back from {utc(before)} to {utc(after)}",
            done="sorted by time",
            count=len(counted),
        )
    return table.taken(np.argsort(table.time_ns, kind="stable"))


def _once(table: Table, problems: Problems) -> Table:
    if table.kind in _ONE_AT_A_TIME:
        keys, what = table.time_ns, "time"
    elif "id" in table.whole:
        keys, what = table.whole["id"], "id"
    else:
        return table
    if np.all(np.diff(keys) > 0):
        return table
    _, firsts = np.unique(keys, return_index=True)
    if len(firsts) == len(keys):
        return table
    again = np.ones(len(keys), dtype=np.bool_)
    again[firsts] = False
    counted = again & problems.within(table.time_ns)
    if counted.any():
        row = int(counted.argmax())
        key = int(keys[row])
        problems.found(
            "duplicate",
            table.path,
            int(table.line[row]),
            f"the {what} {utc(key) if what == 'time' else key} was there before",
            done="the first was kept",
            count=int(counted.sum()),
        )
    return table.taken(~again)


def _look_for_gaps(table: Table, problems: Problems) -> None:
    if table.kind in (DataKind.CANDLES, DataKind.MARK_CANDLES):
        keys, usual, what = table.time_ns, interval_ns(table.time_ns), "candles"
    elif table.kind is DataKind.TRADES and "id" in table.whole:
        keys, usual, what = table.whole["id"], 1, "ids"
    else:
        return
    lines, times = table.line, table.time_ns
    if np.any(np.diff(keys) < 0):
        order = np.argsort(keys, kind="stable")
        keys, lines, times = keys[order], lines[order], times[order]
    steps = np.diff(keys)
    gaps = np.flatnonzero(steps > usual)
    begins, ends = times[gaps], times[gaps + 1]
    if what == "candles":
        begins, ends = begins + usual, ends - 1
    gaps = gaps[problems.touching(begins, ends)]
    if not usual or not len(gaps):
        return
    row = int(gaps[0]) + 1
    before, after = int(keys[row - 1]), int(keys[row])
    missing = int((steps[gaps] // usual - 1).sum()) or len(gaps)
    problems.found(
        "gap",
        table.path,
        int(lines[row]),
        (
            candles_missing(before, after, usual)
            if what == "candles"
            else f"ids are missing between {before} and {after}"
        )
        + f" (in all {missing:,} {what} in {len(gaps):,} gap{'s' * (len(gaps) > 1)})",
        done="left as it is",
        count=len(gaps),
    )
