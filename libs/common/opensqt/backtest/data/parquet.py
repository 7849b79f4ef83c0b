"""Tables as Parquet: exact decimals, times in UTC, what the columns mean in the schema's metadata.

Prices and quantities are DECIMAL columns, so that any reader sees the numbers themselves; the
columns are those of the table's own CSV form.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.columns import Ints
from opensqt.backtest.data.sources.forms import FLAGS, FORMS, WHOLE
from opensqt.backtest.data.sources.problems import Problems, listed
from opensqt.backtest.data.sources.table import DataKind, Scaled, Table
from opensqt.backtest.data.sources.text_tables import scaled_from_arrow
from opensqt.backtest.data.sources.times import to_ns

FORMAT: Final = "opensqt market data 1"
_DIGITS: Final = 18
_TYPES: Final[Mapping[str, Callable[[pa.DataType], bool]]] = {
    "timestamp": pa.types.is_timestamp,
    "bool": pa.types.is_boolean,
    "int64": pa.types.is_integer,
    "decimal128": pa.types.is_decimal,
}
UNITS: Final[Mapping[str, str]] = {
    "time": "UTC; of candles when they open, of recordings when the message was received",
    "open": "quote per base",
    "high": "quote per base",
    "low": "quote per base",
    "close": "quote per base",
    "volume": "base",
    "price": "quote per base",
    "quantity": "base",
    "bid": "quote per base",
    "ask": "quote per base",
    "bid_quantity": "base",
    "ask_quantity": "base",
    "buyer_is_maker": "true: the seller was the aggressor",
    "id": "the exchange's number of the trade",
    "rate": "share of the notional that longs pay to shorts",
    "interval_hours": "hours that the settlement was for; 0: unknown",
    "row": "order among the tables of one recording",
}


def write_parquet(table: Table, path: Path) -> None:
    """Write a table; zstd."""
    fields, arrays = [], []

    def add(name: str, array: pa.Array) -> None:
        fields.append(pa.field(name, array.type, nullable=False, metadata={"unit": UNITS[name]}))
        arrays.append(array)

    add("time", pa.array(table.time_ns).cast(pa.timestamp("ns", tz="UTC")))
    for name, numbers in table.numbers.items():
        add(name, decimals_of(numbers.reduced()))
    for name, flags in table.flags.items():
        add(name, pa.array(flags))
    for name, whole in table.whole.items():
        add(name, pa.array(whole))
    metadata = {"format": FORMAT, "kind": table.kind.value, "symbol": table.symbol}
    schema = pa.schema(fields, metadata=metadata)
    parquet.write_table(
        pa.table(arrays, schema=schema),
        path,
        compression="zstd",
        store_decimal_as_integer=True,  # read in a third of the time
    )


def read_parquet(path: Path, problems: Problems) -> Table:
    """Read a table that `write_parquet` wrote.

    Raises:
        DamagedData: It cannot be read, something else wrote it, its columns are not those of its
            kind, or something is wrong in it and that is not allowed.
    """
    try:
        found = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DamagedData(path, 0, f"cannot be read: {error}") from None
    metadata = found.schema.metadata or {}
    if metadata.get(b"format") != FORMAT.encode():
        raise DamagedData(
            path, 0, f"it is not marked as {FORMAT!r}; allowed is what `opensqt data convert` wrote"
        )
    kind = _kind_of(path, metadata.get(b"kind", b"").decode("utf-8", "replace"))
    columns = _columns_of(path, kind, found.schema)
    rows = np.arange(1, found.num_rows + 1, dtype=np.int64)
    found, rows = _without_nulls(found.select(columns), path, rows, problems)
    numbers: dict[str, Scaled] = {}
    flags: dict[str, Any] = {}
    whole: dict[str, Ints] = {}
    for name in columns:
        column = found.column(name)
        if name in FLAGS:
            flags[name] = column.to_numpy()
        elif name in WHOLE and name != "time":
            whole[name] = column.cast(pa.int64()).to_numpy()
        elif name != "time":
            scaled = scaled_from_arrow(column)
            if scaled is None:
                raise DamagedData(path, 0, f"{name} holds numbers that are too large")
            numbers[name] = scaled
    times = found.column("time").cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy()
    times, usable = to_ns(times, "time_ns", path=path, lines=rows, problems=problems)
    table = Table(
        kind=kind,
        path=path,
        symbol=metadata.get(b"symbol", b"").decode(),
        time_ns=times,
        line=rows,
        numbers=numbers,
        flags=flags,
        whole=whole,
    )
    return table if usable.all() else table.taken(usable)


def _kind_of(path: Path, told: str) -> DataKind:
    if told not in tuple(DataKind):
        raise DamagedData(path, 0, f"holds {told!r}; allowed are {listed(DataKind)}")
    return DataKind(told)


def _columns_of(path: Path, kind: DataKind, schema: pa.Schema) -> list[str]:
    """The columns that are read.

    Raises:
        DamagedData: One is missing, or of a wrong type.
    """
    forms = [form for form in FORMS if form.kind is kind]
    known = {name for form in forms for name in form.names if name}
    needed = set.intersection(*({*filter(None, form.names)} - form.optional for form in forms))
    missing = sorted(needed - set(schema.names))
    if missing:
        has = listed(schema.names)
        raise DamagedData(
            path,
            0,
            f"{kind} need {listed(sorted(needed))}; missing: {listed(missing)}; it has {has}",
        )
    columns = [name for name in schema.names if name in known]
    for name in columns:
        found, allowed = schema.field(name).type, _TYPES[_type_of(name)]
        if not allowed(found):
            raise DamagedData(path, 0, f"{name} is of type {found}; allowed is {_type_of(name)}")
    return columns


def _type_of(name: str) -> str:
    if name == "time":
        return "timestamp"
    if name in FLAGS:
        return "bool"
    return "int64" if name in WHOLE else "decimal128"


def _without_nulls(
    found: pa.Table, path: Path, rows: Ints, problems: Problems
) -> tuple[pa.Table, Ints]:
    """The rows without an empty cell; an empty one is no number, and least of all 0."""
    empty = np.zeros(len(rows), dtype=np.bool_)
    for name in found.column_names:
        if found.column(name).null_count:
            nulls = found.column(name).is_null().to_numpy() & ~empty
            if nulls.any():
                problems.found(
                    "not_a_number",
                    path,
                    int(rows[int(nulls.argmax())]),
                    f"{name} is empty; allowed is {_type_of(name)}",
                    done="left out",
                    count=int(nulls.sum()),
                )
            empty |= nulls
    return (found.filter(pa.array(~empty)), rows[~empty]) if empty.any() else (found, rows)


def decimals_of(numbers: Scaled) -> pa.Array:
    """Whole numbers as decimals, by their bits."""
    words = np.empty((len(numbers), 2), dtype=np.int64)
    words[:, 0] = numbers.values
    words[:, 1] = numbers.values >> 63
    # Up to 18 digits fit into what Parquet stores as an integer.
    largest = int(np.abs(numbers.values).max()) if len(numbers) else 0
    kind = pa.decimal128(_DIGITS + (largest >= 10**_DIGITS), numbers.decimals)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(words.tobytes())])
