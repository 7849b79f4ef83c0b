"""What data files hold, and what is wrong with them: everything is counted, nothing ends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.funding import interval_minutes
from opensqt.backtest.sources.checks import interval_ns
from opensqt.backtest.sources.folder import data_files
from opensqt.backtest.sources.problems import Problems
from opensqt.backtest.sources.read import read_file
from opensqt.backtest.sources.table import DataKind, Table
from opensqt.backtest.tape import DataNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A table in a file."""

    kind: DataKind
    symbol: str
    """Empty when the file does not say."""
    rows: int
    first_ns: int | None
    last_ns: int | None
    """When the last row is; a candle ends later."""
    interval_s: float | None
    """How far apart candles or settlements usually are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A file."""

    path: Path
    tables: tuple[Held, ...]
    problems: tuple[DataNote, ...]
    remarks: tuple[DataNote, ...]
    """What is not wrong, but should be known."""
    damage: str = ""
    """Why it cannot be read at all."""


def survey(path: Path) -> tuple[Survey, ...]:
    """Look at a file, or at every data file in a folder and below it.

    Raises:
        DamagedData: There is none.
    """
    return tuple(_survey(file) for file in data_files(path))


def _survey(path: Path) -> Survey:
    problems = Problems(strict=False)
    tables: Sequence[Table] = ()
    damage = ""
    try:
        tables = read_file(path, problems)
        for table in tables:
            if table.kind is DataKind.FUNDING:
                interval_minutes(table, problems)
    except DamagedData as error:
        damage = f"line {error.line}: {error.reason}"
    return Survey(
        path=path,
        tables=tuple(_held(table) for table in tables),
        problems=problems.counted(),
        remarks=problems.remarks(),
        damage=damage,
    )


def _held(table: Table) -> Held:
    even = table.kind in (DataKind.CANDLES, DataKind.MARK_CANDLES, DataKind.FUNDING)
    return Held(
        kind=table.kind,
        symbol=table.symbol,
        rows=len(table),
        first_ns=int(table.time_ns[0]) if len(table) else None,
        last_ns=int(table.time_ns[-1]) if len(table) else None,
        interval_s=interval_ns(table.time_ns) / 1e9 if even and len(table) > 1 else None,
    )
