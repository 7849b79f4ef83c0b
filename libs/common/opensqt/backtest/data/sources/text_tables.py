"""Reading tables of text: by columns when every cell is as it should be, else row by row.

Both ways read the same numbers; the second one knows which line and which cell is wrong.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.columns import Ints
from opensqt.backtest.data.sources.by_row import read_rows
from opensqt.backtest.data.sources.forms import FLAGS, TEXT, WHOLE, allowed, form_of
from opensqt.backtest.data.sources.opened import read_bytes
from opensqt.backtest.data.sources.problems import Problems, listed
from opensqt.backtest.data.sources.table import DECIMALS_MAX, Scaled, Table
from opensqt.backtest.data.sources.times import to_ns

_DIGITS: Final = 38


def read_text_table(path: Path, problems: Problems) -> Table:
    """Read a CSV file of one of the known forms.

    Raises:
        DamagedData: The file cannot be read, is of no known form, holds no rows, or something is
            wrong in it and that is not allowed.
    """
    body = read_bytes(path)
    first_line = body[: body.find(b"\n") if b"\n" in body else len(body)]
    text = first_line.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r")
    if not body.strip():
        raise DamagedData(path, 0, f"is empty; allowed are tables:{allowed()}")
    if "\0" in text or "\ufffd" in text:
        raise DamagedData(path, 1, "is no text; allowed is UTF-8")
    first = text.split(",")
    found = form_of(first)
    if found is None:
        raise DamagedData(
            path, 1, f"{text[:80]!r} begins no table that is known; allowed are:{allowed()}"
        )
    form, names, has_heading = found
    at = len(first_line) + 1 if has_heading else 0
    rows = _rows_of(body, at)  # a view: a year of trades is gigabytes
    if not rows:
        raise DamagedData(path, 2 if has_heading else 1, f"there are no {form.name}")
    begins = 2 if has_heading else 1
    unit = first[names.index("time")].strip().strip('"') if has_heading else ""
    columns = _by_columns(rows, names)
    if columns is None:
        lines, columns = read_rows(
            path, bytes(rows), names, begins=begins, problems=problems, time_name=unit
        )
    else:
        lines = np.arange(begins, begins + len(columns["time"]), dtype=np.int64)
    symbol = _only_symbol(path, columns.pop("symbol", None), lines)
    times, usable = to_ns(columns["time"], unit, path=path, lines=lines, problems=problems)
    table = Table(
        kind=form.kind,
        path=path,
        symbol=symbol,
        time_ns=times,
        line=lines,
        numbers={n: c for n, c in columns.items() if isinstance(c, Scaled)},
        flags={n: c for n, c in columns.items() if n in FLAGS},
        whole={n: c for n, c in columns.items() if n in WHOLE and n != "time"},
    )
    return table if usable.all() else table.taken(usable)


def scaled_from_arrow(column: Any) -> Scaled | None:
    """A column of decimals as whole numbers; None when they are too large or too fine."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    for decimals in (array.type.scale, 8, 4, 0):
        if decimals > array.type.scale:
            continue
        try:
            same = decimals == array.type.scale
            cast = array if same else array.cast(pa.decimal128(_DIGITS, decimals))
        except pa.ArrowInvalid:
            return None  # it would lose digits
        words = np.frombuffer(cast.buffers()[1], dtype=np.int64)
        words = words[2 * cast.offset : 2 * (cast.offset + len(cast))]
        low, high = words[::2], words[1::2]
        if np.array_equal(high, low >> 63):
            return Scaled(values=low.copy(), decimals=decimals)
    return None


def _rows_of(body: bytes, begins: int) -> memoryview:
    """The rows without the ends of lines after the last one."""
    ends = len(body)
    while ends > begins and body[ends - 1] in b"\r\n":
        ends -= 1
    return memoryview(body)[begins:ends]


def _by_columns(body: memoryview, names: Sequence[str]) -> dict[str, Any] | None:
    """All columns at once; None when some cell is not as it should be."""
    titles = [name or f"_{number}" for number, name in enumerate(names)]
    types: dict[str, pa.DataType] = {
        name: pa.bool_()
        if name in FLAGS
        else pa.int64()
        if name in WHOLE
        else pa.dictionary(pa.int32(), pa.string())
        if name in TEXT
        else pa.decimal128(_DIGITS, DECIMALS_MAX)
        for name in names
        if name
    }
    try:
        table = csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            read_options=csv.ReadOptions(column_names=titles),
            parse_options=csv.ParseOptions(ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=types,
                include_columns=[name for name in names if name],
                null_values=[],
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
    except pa.ArrowInvalid:
        return None
    columns: dict[str, Any] = {}
    for name in types:
        column = table.column(name)
        if name in FLAGS or name in WHOLE:
            columns[name] = column.to_numpy()
            continue
        if name in TEXT:
            columns[name] = column
            continue
        scaled = scaled_from_arrow(column)
        if scaled is None:
            return None
        columns[name] = scaled
    return columns


def _only_symbol(path: Path, column: Any, lines: Ints) -> str:
    """Whose table it is, where it says so.

    Raises:
        DamagedData: It holds several symbols: their prices would be taken for those of one market.
    """
    if column is None or not len(column):
        return ""
    symbols = [str(symbol) for symbol in pc.unique(column).to_pylist()]
    if len(symbols) > 1:
        row = pc.index(pc.equal(column, symbols[1]), value=True).as_py()
        raise DamagedData(
            path,
            int(lines[row]),
            f"holds {listed(symbols)}; allowed is one symbol in a file",
        )
    return "".join(filter(str.isalnum, symbols[0])).upper()
