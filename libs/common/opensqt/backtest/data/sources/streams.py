"""Recordings of raw streams as tables: what `adapters.replay.recording` plays, at once.

A row's time is when its message was received, and rows keep the order of the lines: that is what
the paper exchange plays, too. The exchange's own times run apart between streams and can go back.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from opensqt.adapters.replay.messages import boolean, received, stream_data
from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.sources.by_row import scaled_from
from opensqt.backtest.data.sources.opened import read_bytes
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.table import DataKind, Table
from opensqt.backtest.data.sources.times import is_plausible, utc
from opensqt.core.numbers import NotExactError, parse_decimal


def read_stream(path: Path, problems: Problems) -> tuple[Table, ...]:
    """Read trades, best prices and mark prices of every symbol in a recording.

    Other messages (depth, snapshots) and the insurance fund's trades are passed over.

    Raises:
        DamagedData: The file cannot be read, holds nothing, or something is wrong in it and that
            is not allowed.
    """
    found: dict[tuple[str, DataKind], _Rows] = defaultdict(_Rows)
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            _take(line, number, found)
        except KeyError as error:
            if _counts(line, problems):
                reason = f"the key {error} is missing"
                problems.found("unreadable", path, number, reason, done="left out")
        except (ValueError, TypeError, NotExactError) as error:
            if _counts(line, problems):
                problems.found("unreadable", path, number, str(error), done="left out")
    if not found:
        none = "the recording holds no trades, best prices or mark prices"
        why = problems.first(path)
        raise DamagedData(path, 0, f"{none}: {why}" if why else none)
    return tuple(rows.table(path, symbol, kind, problems) for (symbol, kind), rows in found.items())


class _Rows:
    """Rows of one symbol and kind."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.lines: list[int] = []
        self.numbers: dict[str, list[Decimal]] = defaultdict(list)
        self.maker: list[bool] = []

    def table(self, path: Path, symbol: str, kind: DataKind, problems: Problems) -> Table:
        lines = np.array(self.lines, dtype=np.int64)
        flags = {"buyer_is_maker": np.array(self.maker, dtype=np.bool_)} if self.maker else {}
        return Table(
            kind=kind,
            path=path,
            symbol=symbol,
            time_ns=np.array(self.times, dtype=np.int64),
            line=lines,
            numbers={
                name: scaled_from(values, name, path, lines, problems)
                for name, values in self.numbers.items()
            },
            flags=flags,
            whole={"row": lines},
        )


def _take(line: bytes, number: int, found: Mapping[tuple[str, DataKind], _Rows]) -> None:
    received_ns, body = received(line)
    if not is_plausible(received_ns):
        raise ValueError(f"<local_ns> is {received_ns}, which is {utc(received_ns)}")
    data = stream_data(body)
    if data is None:
        return
    known = _READERS.get(data.get("e", ""))
    if known is None or data.get("X", "MARKET") != "MARKET":
        return
    kind, read = known
    values = read(data)
    maker = boolean(data["m"], "m") if kind is DataKind.TRADES else None
    rows = found[str(data["s"]), kind]
    rows.times.append(received_ns)
    rows.lines.append(number)
    for name, value in values.items():
        rows.numbers[name].append(value)
    if maker is not None:
        rows.maker.append(maker)


def _counts(line: bytes, problems: Problems) -> bool:
    """Whether a line that cannot be used was received in the span, or nobody knows when."""
    stamp = line.partition(b" ")[0]
    if not stamp.isdigit() or not is_plausible(int(stamp)):
        return True
    return bool(problems.within(np.array([int(stamp)], dtype=np.int64))[0])


def _reader(**keys: str) -> Callable[[Mapping[str, Any]], dict[str, Decimal]]:
    def read(data: Mapping[str, Any]) -> dict[str, Decimal]:
        return {name: parse_decimal(data[key], name=key) for name, key in keys.items()}

    return read


_READERS: Final = {
    "trade": (DataKind.TRADES, _reader(price="p", quantity="q")),
    "bookTicker": (
        DataKind.QUOTES,
        _reader(bid="b", bid_quantity="B", ask="a", ask_quantity="A"),
    ),
    "markPriceUpdate": (DataKind.MARKS, _reader(price="p")),
}
