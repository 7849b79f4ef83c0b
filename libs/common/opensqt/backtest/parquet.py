"""Tables as Parquet: exact decimals, times in UTC, what the columns mean in the schema's metadata.

Prices and quantities are DECIMAL columns, so that any reader sees the numbers themselves; the
columns are those of the table's own CSV form.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.columns import Ints
from opensqt.backtest.sources.forms import FLAGS
from opensqt.backtest.sources.table import DataKind, Scaled, Table
from opensqt.backtest.sources.text_tables import scaled_from_arrow

FORMAT: Final = "opensqt market data 1"
_DIGITS: Final = 18
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
    parquet.write_table(pa.table(arrays, schema=schema), path, compression="zstd")


def read_parquet(path: Path) -> Table:
    """Read a table that `write_parquet` wrote.

    Raises:
        DamagedData: It cannot be read, or something else wrote it.
    """
    try:
        found = parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedData(path, 1, f"cannot be read: {error}") from None
    metadata = found.schema.metadata or {}
    if metadata.get(b"format") != FORMAT.encode():
        raise DamagedData(
            path, 1, f"it is not marked as {FORMAT!r}; allowed is what `opensqt data convert` wrote"
        )
    numbers: dict[str, Scaled] = {}
    flags: dict[str, Any] = {}
    whole: dict[str, Ints] = {}
    for name in found.column_names:
        column = found.column(name)
        if name == "time":
            continue
        if pa.types.is_decimal(column.type):
            scaled = scaled_from_arrow(column)
            if scaled is None:
                raise DamagedData(path, 1, f"{name} holds numbers that are too large")
            numbers[name] = scaled
        elif name in FLAGS:
            flags[name] = column.to_numpy()
        else:
            whole[name] = column.to_numpy()
    times = found.column("time").cast(pa.int64()).to_numpy()
    return Table(
        kind=DataKind(metadata[b"kind"].decode()),
        path=path,
        symbol=metadata.get(b"symbol", b"").decode(),
        time_ns=times,
        line=np.arange(1, len(times) + 1, dtype=np.int64),
        numbers=numbers,
        flags=flags,
        whole=whole,
    )


def decimals_of(numbers: Scaled) -> pa.Array:
    """Whole numbers as decimals, by their bits."""
    words = np.empty((len(numbers), 2), dtype=np.int64)
    words[:, 0] = numbers.values
    words[:, 1] = numbers.values >> 63
    kind = pa.decimal128(max(_DIGITS + 1, numbers.decimals), numbers.decimals)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(words.tobytes())])
