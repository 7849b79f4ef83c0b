"""What data files hold, and what is wrong with them: everything is counted, nothing ends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from opensqt.adapters.replay.source import DamagedData, place
from opensqt.backtest.data.funding import interval_minutes
from opensqt.backtest.data.sources.checks import PRICES, interval_ns, look_for_off_ticks
from opensqt.backtest.data.sources.folder import data_files, words_of
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.read import read_file
from opensqt.backtest.data.sources.table import DataKind, Table
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
    tick: Decimal | None
    """What its prices were held against; None: no trading rules of it are known."""


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


def survey(path: Path, ticks: Mapping[str, Decimal]) -> tuple[Survey, ...]:
    """Look at a file, or at every data file in a folder and below it.

    Args:
        path: The file or folder.
        ticks: What prices must be multiples of, by symbol, for those that are known.

    Raises:
        DamagedData: There is none.
    """
    return tuple(_survey(file, ticks) for file in data_files(path))


def _survey(path: Path, ticks: Mapping[str, Decimal]) -> Survey:
    problems = Problems(strict=False)
    tables: Sequence[Table] = ()
    damage = ""
    try:
        tables = read_file(path, problems)
        for table in tables:
            if table.kind is DataKind.FUNDING:
                interval_minutes(table, problems)
            tick = _tick_of(table, ticks)
            if tick is not None:
                look_for_off_ticks(table, tick, problems)
    except DamagedData as error:
        damage = f"{place(path, error.line)}: {error.reason}".removeprefix(", ").removeprefix(": ")
    return Survey(
        path=path,
        tables=tuple(_held(table, _tick_of(table, ticks)) for table in tables),
        problems=problems.counted(),
        remarks=problems.remarks(),
        damage=damage,
    )


def _tick_of(table: Table, ticks: Mapping[str, Decimal]) -> Decimal | None:
    """The tick of a table's market; a spot market has another one, which is not known."""
    words = words_of(table.path)
    if table.kind not in PRICES or "spot" in words:
        return None
    if table.symbol:
        return ticks.get(table.symbol)
    named = [tick for symbol, tick in ticks.items() if symbol.lower() in words]
    return named[0] if len(named) == 1 else None


def _held(table: Table, tick: Decimal | None) -> Held:
    even = table.kind in (DataKind.CANDLES, DataKind.MARK_CANDLES, DataKind.FUNDING)
    return Held(
        kind=table.kind,
        symbol=table.symbol,
        rows=len(table),
        first_ns=int(table.time_ns[0]) if len(table) else None,
        last_ns=int(table.time_ns[-1]) if len(table) else None,
        interval_s=interval_ns(table.time_ns) / 1e9 if even and len(table) > 1 else None,
        tick=tick,
    )
