"""Reading a market from files: recordings, tables of trades or candles, and what goes beside them.

A tape holds what happened from `start_ns` until before `end_ns`: trades, best prices where the data
has them, mark prices where they are as fine as the market, and fundings. What is wrong with the
data is an error with `strict`, otherwise a note on the tape. Nothing is ever filled in.

Of things at the same time mark prices come first, then fundings, then the market, which keeps the
order of its file.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.candles import CandlePath
from opensqt.backtest.data.coverage import say_uncovered
from opensqt.backtest.data.ordering import Parts
from opensqt.backtest.data.shaping import Shape, candle_seconds, quantity_unit
from opensqt.backtest.data.sources.checks import interval_ns
from opensqt.backtest.data.sources.folder import choose_files
from opensqt.backtest.data.sources.problems import Problems, listed
from opensqt.backtest.data.sources.read import joined, read_file
from opensqt.backtest.data.sources.table import DataKind, Table
from opensqt.backtest.tape import Fundings, Marks, Quotes, Tape, Trades
from opensqt.core.instrument import Instrument

_S: Final = 1_000_000_000
MARK_CANDLE_S_MAX: Final = 60
"""Mark candles beside trades may be this long; a coarser mark would hide a liquidation."""


def read_tape(  # every one of them is the caller's choice
    path: Path,
    instrument: Instrument,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    strict: bool = False,
    candle_path: CandlePath = CandlePath.NEAREST,
    candle_s: int | None = None,
    symbol: str | None = None,
    trades_only: bool = False,
) -> Tape:
    """Read a symbol's market.

    Args:
        path: A file, beside which its funding and mark are looked for, or a folder.
        instrument: The symbol's rules: its tick and step are what is counted in.
        start_ns: From when on; candles count by when they open.
        end_ns: Until before when.
        strict: Whether the first thing wrong is an error.
        candle_path: The way assumed within a candle.
        candle_s: How long candles are, where the spacing of the rows should not say it.
        symbol: What the files call it, if not by the instrument's symbol.
        trades_only: Leave out best prices and mark prices.

    Raises:
        DamagedData: The data cannot be read, is none of the symbol, holds nothing in the span, or
            something is wrong with it and `strict` was asked for.
    """
    problems = Problems(strict=strict, start_ns=start_ns, end_ns=end_ns)
    wanted = symbol or instrument.symbol
    chosen = choose_files(path, wanted)
    whole = _market(chosen.market, wanted, problems)
    if trades_only:
        whole = {k: t for k, t in whole.items() if k in (DataKind.TRADES, DataKind.CANDLES)}
    span = _Span(start_ns, end_ns)
    market = {kind: span.cut(table) for kind, table in whole.items()}
    if not any(map(len, market.values())):
        held = _Span.of(list(whole.values()))
        raise DamagedData(path, 0, f"holds nothing of {wanted} in {span}; it holds {held}")
    shape = Shape(
        instrument=instrument,
        quantity_unit=instrument.step_size
        if DataKind.CANDLES in market
        else quantity_unit(instrument, market.values()),
        problems=problems,
    )
    if DataKind.CANDLES in market:
        candle_s = candle_seconds(whole[DataKind.CANDLES], candle_s)
        trades = shape.trades_along(market[DataKind.CANDLES], candle_s, candle_path)
        parts = _parts({}, shape, trades=trades)
    else:
        candle_s = None
        parts = _parts(market, shape)
    covered = whole if candle_s else market  # gaps between candles are counted as such
    say_uncovered(list(covered.values()), candle_s, start_ns, end_ns, problems)
    if not len(parts.trades) and not len(parts.quotes):
        why = "all of its candles are without volume" if candle_s else "it holds mark prices alone"
        raise DamagedData(path, 0, f"nothing was traded in {span}: {why}")
    parts = parts.in_order(problems, path)
    around = span.around(list(market.values()), candle_s or 0)
    marks = (
        _marks(
            _beside(chosen.marks, wanted, problems),
            around,
            candle_s or MARK_CANDLE_S_MAX,
            candle_path,
            shape,
        )
        if not trades_only and not len(parts.marks)
        else None
    )
    fundings = _fundings(_beside(chosen.funding, wanted, problems), around, shape)
    parts = parts.with_beside(marks, fundings)
    return Tape(
        symbol=instrument.symbol,
        tick=instrument.tick_size,
        quantity_unit=shape.quantity_unit,
        trades=parts.trades,
        quotes=parts.quotes,
        marks=parts.marks,
        fundings=parts.fundings,
        source=listed(file.name for file in chosen.market),
        candle_s=candle_s,
        notes=problems.notes(),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    start_ns: int | None
    end_ns: int | None

    @classmethod
    def of(cls, tables: Sequence[Table]) -> "_Span":
        filled = [table for table in tables if len(table)]
        if not filled:
            return cls(0, 0)
        return cls(
            min(int(table.time_ns[0]) for table in filled),
            max(int(table.time_ns[-1]) for table in filled) + 1,
        )

    def __str__(self) -> str:
        if self.start_ns is None and self.end_ns is None:
            return "all time"
        return f"{_date(self.start_ns)} to {_date(self.end_ns)}"

    def cut(self, table: Table) -> Table:
        """The rows within; what is whole stays as it is."""
        if self.start_ns is None and self.end_ns is None:
            return table
        begins = 0 if self.start_ns is None else table.time_ns.searchsorted(self.start_ns)
        ends = len(table) if self.end_ns is None else table.time_ns.searchsorted(self.end_ns)
        return table.taken(slice(int(begins), max(int(begins), int(ends))))

    def around(self, tables: Sequence[Table], row_s: int) -> "_Span":
        """What the market spans, within this one; its last row lasts `row_s`."""
        held = _Span.of(tables)
        assert held.start_ns is not None
        assert held.end_ns is not None
        end_ns = held.end_ns + row_s * _S
        return _Span(held.start_ns, end_ns if self.end_ns is None else min(self.end_ns, end_ns))


def _date(time_ns: int | None) -> str:
    if time_ns is None:
        return "the end"
    return datetime.fromtimestamp(time_ns / _S, UTC).isoformat(" ", "seconds")


def _market(paths: Sequence[Path], symbol: str, problems: Problems) -> Mapping[DataKind, Table]:
    """The checked tables of the market, one of each kind."""
    found: dict[DataKind, list[Table]] = defaultdict(list)
    symbols = set()
    for path in paths:
        for table in read_file(path, problems):
            symbols.add(table.symbol)
            if table.symbol in ("", symbol):
                found[table.kind].append(table)
    path = paths[0]
    if not found:
        raise DamagedData(path, 0, f"holds nothing of {symbol}; symbols: {listed(sorted(symbols))}")
    for kind in (DataKind.FUNDING, DataKind.MARK_CANDLES):
        if kind in found:
            raise DamagedData(path, 0, f"is a table of {kind}, not of a market; name the market's")
    if DataKind.CANDLES in found and len(found) > 1:
        raise DamagedData(path, 0, f"candles and {listed(found)} are two markets; name one")
    return {kind: joined(tables, problems) for kind, tables in found.items()}


def _beside(paths: Sequence[Path], symbol: str, problems: Problems) -> Table | None:
    """The checked table of files beside the market; None without any."""
    tables = [table for path in paths for table in read_file(path, problems)]
    for table in tables:
        if table.symbol not in ("", symbol):
            raise DamagedData(table.path, 0, f"holds {table.symbol}; by its name it is of {symbol}")
    return joined(tables, problems) if tables else None


def _parts(market: Mapping[DataKind, Table], shape: Shape, trades: Trades | None = None) -> Parts:
    if trades is None:
        table = market.get(DataKind.TRADES)
        trades = Trades.empty() if table is None else shape.trades(table)
    quotes, marks = market.get(DataKind.QUOTES), market.get(DataKind.MARKS)
    return Parts(
        trades=trades,
        quotes=Quotes.empty() if quotes is None else shape.quotes(quotes),
        marks=Marks.empty() if marks is None else shape.marks(marks),
        fundings=Fundings.empty(),
    )


def _marks(
    table: Table | None, span: _Span, row_s: int, way: CandlePath, shape: Shape
) -> Marks | None:
    """Mark prices from candles beside the market, if they are as fine as the market."""
    if table is None:
        return None
    mark_s = interval_ns(table.time_ns) // _S
    if not 0 < mark_s <= row_s:
        shape.problems.remark(
            "coarse_mark",
            len(table),
            f"{table.path.name}: candles of {mark_s or 'unknown'} s are too coarse beside a "
            f"market told every {row_s} s; the last trade's price serves as mark",
        )
        return None
    return shape.marks_along(span.cut(table), mark_s, way)


def _fundings(table: Table | None, span: _Span, shape: Shape) -> Fundings:
    if table is None or not len(span.cut(table)):
        shape.problems.remark("no_funding", 1, "no funding is known of this span: none is paid")
        return Fundings.empty()
    within = (table.time_ns >= (span.start_ns or 0)) & (
        table.time_ns < (span.end_ns or table.time_ns[-1] + 1)
    )
    return shape.fundings(table, within)
