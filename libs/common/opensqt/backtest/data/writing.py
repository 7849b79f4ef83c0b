"""Tables back to text: the forms that `sources.forms` reads, exact to the last digit."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from opensqt.backtest.data.parquet import decimals_of, write_parquet
from opensqt.backtest.data.sources.table import DataKind, Table

_MS_NS: Final = 1_000_000
_NAMES: Final = {
    (DataKind.MARKS, "price"): "mark_price",
    (DataKind.FUNDING, "rate"): "funding_rate",
}
"""What a column is called in the file, where that differs from our name."""


def write_table(table: Table, path: Path) -> None:
    """Write a table as Parquet or CSV, as the ending of the path says.

    The file appears whole or not at all.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        (write_parquet if path.suffix == ".parquet" else _write_csv)(table, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write_csv(table: Table, path: Path) -> None:
    in_ms = not np.any(table.time_ns % _MS_NS)
    names = ["ts_ms" if in_ms else "ts_ns"]
    arrays = [pa.array(table.time_ns // _MS_NS if in_ms else table.time_ns)]
    for name, numbers in table.numbers.items():
        names.append(_NAMES.get((table.kind, name), name))
        arrays.append(decimals_of(numbers.reduced()).cast(pa.string()))
    for name, flags in table.flags.items():
        names.append(name)
        arrays.append(pa.array(flags))
    for name, whole in table.whole.items():
        names.append(name)
        arrays.append(pa.array(whole))
    with path.open("wb") as file:
        file.write((",".join(names) + "\n").encode())
        csv.write_csv(
            pa.table(arrays, names=names),
            file,
            csv.WriteOptions(include_header=False, quoting_style="none"),
        )
