"""Reading any data file: its ending says how."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.parquet import read_parquet
from opensqt.backtest.data.sources.checks import candles_missing, checked, interval_ns
from opensqt.backtest.data.sources.opened import ENDINGS
from opensqt.backtest.data.sources.problems import Problems, listed
from opensqt.backtest.data.sources.streams import read_stream
from opensqt.backtest.data.sources.table import DataKind, Scaled, Table
from opensqt.backtest.data.sources.text_tables import read_text_table
from opensqt.backtest.data.sources.times import utc


def read_file(path: Path, problems: Problems) -> tuple[Table, ...]:
    """The checked tables of a file: one, or of a recording one for each symbol and kind.

    Raises:
        DamagedData: It cannot be read, no row of it can be used, or something is wrong in it and
            that is not allowed.
    """
    if not path.name.endswith(ENDINGS):
        raise DamagedData(path, 0, f"is no data file; their names end in {listed(ENDINGS)}")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        tables = read_stream(path, problems)
    elif path.suffix == ".parquet":
        tables = (read_parquet(path, problems),)
    else:
        tables = (read_text_table(path, problems),)
    usable = tuple(checked(table, problems) for table in tables)
    if not any(map(len, usable)):
        why = problems.first(path)
        if not why and not any(map(len, tables)):
            raise DamagedData(path, 0, "has no rows")
        raise DamagedData(path, 0, f"no row of it can be used{why and ': '}{why}")
    return usable


def joined(tables: Sequence[Table], problems: Problems) -> Table:
    """One table of several of the same kind, such as those of some days.

    Raises:
        DamagedData: They overlap or leave a gap, and that is not allowed.
    """
    ordered = sorted((table for table in tables if len(table)), key=lambda t: int(t.time_ns[0]))
    if len(ordered) < 2:
        return (ordered or list(tables))[0]
    parts = [ordered[0]]
    for table in ordered[1:]:
        last_ns = int(parts[-1].time_ns[-1])
        one_at_a_time = table.kind not in (DataKind.TRADES, DataKind.QUOTES, DataKind.MARKS)
        again = table.time_ns <= last_ns if one_at_a_time else table.time_ns < last_ns
        counted = again & problems.within(table.time_ns) if again.any() else again
        if counted.any():
            problems.found(
                "overlap",
                table.path,
                int(table.line[0]),
                f"it begins at {utc(int(table.time_ns[0]))}, before {parts[-1].path.name} ends "
                f"at {utc(last_ns)}",
                done="what both hold is taken from the first",
                count=int(counted.sum()),
            )
        rest = table.taken(~again)
        if not len(rest):
            continue
        usual = interval_ns(table.time_ns)
        missing = problems.touching(np.array([last_ns + usual]), rest.time_ns[:1] - 1)[0]
        gap = usual and rest.time_ns[0] - last_ns > usual
        if table.kind is DataKind.CANDLES and gap and missing:
            problems.found(
                "gap",
                table.path,
                int(rest.line[0]),
                candles_missing(last_ns, int(rest.time_ns[0]), usual),
                done="left as it is",
            )
        parts.append(rest)
    return _put_together(parts)


def _put_together(parts: Sequence[Table]) -> Table:
    first = parts[0]
    names = [set(part.numbers) | set(part.whole) | set(part.flags) for part in parts]
    common = set.intersection(*names)
    numbers = {}
    for name in first.numbers:
        decimals = max(part.numbers[name].decimals for part in parts)
        scaled = [
            part.numbers[name].times(10 ** (decimals - part.numbers[name].decimals)).values
            for part in parts
        ]
        numbers[name] = Scaled(values=np.concatenate(scaled), decimals=decimals)
    return replace(
        first,
        time_ns=np.concatenate([part.time_ns for part in parts]),
        line=np.concatenate([part.line for part in parts]),
        numbers=numbers,
        flags={n: np.concatenate([part.flags[n] for part in parts]) for n in first.flags},
        whole={
            n: np.concatenate([part.whole[n] for part in parts]) for n in first.whole if n in common
        },
    )
