"""Parquet and CSV: exact numbers there and back."""

import tempfile
from decimal import Decimal as D
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.parquet import read_parquet
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.read import read_file
from opensqt.backtest.data.sources.table import DataKind, Scaled, Table
from opensqt.backtest.data.writing import write_table
from tests.unit.backtest.reading_world import RECORDINGS, instrument


def table_of(prices: list[int], decimals: int, times: list[int]) -> Table:
    count = len(prices)
    return Table(
        kind=DataKind.TRADES,
        path=Path("x.csv"),
        symbol="BTCUSDT",
        time_ns=np.array(sorted(times), dtype=np.int64),
        line=np.arange(count),
        numbers={
            "price": Scaled(values=np.array(prices, dtype=np.int64), decimals=decimals),
            "quantity": Scaled(values=np.array(prices[::-1], dtype=np.int64), decimals=3),
        },
        flags={"buyer_is_maker": np.arange(count) % 2 == 0},
        whole={"id": np.arange(count, dtype=np.int64)},
    )


def same(one: Table, other: Table) -> bool:
    numbers = all(
        [one.numbers[name].at(row) for row in range(len(one))]
        == [other.numbers[name].at(row) for row in range(len(one))]
        for name in one.numbers
    )
    return (
        numbers
        and one.time_ns.tolist() == other.time_ns.tolist()
        and one.flags["buyer_is_maker"].tolist() == other.flags["buyer_is_maker"].tolist()
        and one.whole["id"].tolist() == other.whole["id"].tolist()
    )


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 2**62), st.integers(10**18, 2 * 10**18)), min_size=1, max_size=9
    ),
    decimals=st.integers(0, 12),
)
def test_numbers_stay_exact_there_and_back(rows: list[tuple[int, int]], decimals: int) -> None:
    table = table_of([price for price, _ in rows], decimals, [time for _, time in rows])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("x.parquet", "x.csv"):
            path = Path(folder) / name
            write_table(table, path)
            (back,) = read_file(path, Problems(strict=True))
            assert same(table, back), name


def test_the_schema_says_what_the_columns_mean(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_table(table_of([1], 2, [10**18]), path)
    schema = parquet.read_schema(path)
    assert schema.metadata[b"kind"] == b"trades"
    assert schema.metadata[b"symbol"] == b"BTCUSDT"
    assert schema.field("price").metadata[b"unit"] == b"quote per base"
    assert str(schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert parquet.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert not list(tmp_path.glob(".*")), "the file beside it is gone"


def test_a_recording_in_parts_is_the_same_market(tmp_path: Path) -> None:
    source = RECORDINGS / "btcusdt_usdm_20240808.jsonl.gz"
    for ending in ("parquet", "csv"):
        folder = tmp_path / ending
        folder.mkdir()
        for table in read_file(source, Problems(strict=True)):
            write_table(table, folder / f"btcusdt_usdm_20240808.{table.kind}.{ending}")
        tape, whole = read_tape(folder, instrument()), read_tape(source, instrument())
        assert (tape.trades, tape.quotes) == (whole.trades, whole.quotes)


def test_what_something_else_wrote_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_table(table_of([1], 2, [10**18]), path)
    table = parquet.read_table(path)
    parquet.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(DamagedData, match="allowed is what `opensqt data convert` wrote"):
        read_parquet(path, Problems(strict=False))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedData, match="cannot be read"):
        read_parquet(path, Problems(strict=False))


def candles_with(
    changed: dict[str, pa.Array], *, without: str = "", kind: str = "candles"
) -> pa.Table:
    price = pa.array([D("100.1")] * 3)
    times = [(10**18 + i * 60 * 10**9) for i in range(3)]
    columns = {
        "time": pa.array(times).cast(pa.timestamp("ns", tz="UTC")),
        **dict.fromkeys(("open", "high", "low", "close", "volume"), price),
        **changed,
    }
    columns.pop(without, None)
    metadata = {"format": "opensqt market data 1", "kind": kind, "symbol": "BTCUSDT"}
    return pa.table(columns).replace_schema_metadata(metadata)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (candles_with({}, without="high"), "missing: high; it has time, open, low"),
        (candles_with({}, without="time"), "missing: time"),
        (candles_with({}, kind="bananas"), "holds 'bananas'; allowed are trades, quotes"),
        (
            candles_with({"low": pa.array([1.0] * 3)}),
            "low is of type double; allowed is decimal128",
        ),
        (candles_with({"time": pa.array([1] * 3)}), "time is of type int64; allowed is timestamp"),
        (candles_with({}).slice(0, 0), "has no rows"),
    ],
)
def test_columns_that_are_not_those_of_the_kind_are_named(
    tmp_path: Path, table: pa.Table, said: str
) -> None:
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DamagedData) as caught:
        read_file(tmp_path / "x.parquet", Problems(strict=False))
    assert said in caught.value.reason


def test_an_empty_cell_is_no_zero(tmp_path: Path) -> None:
    volume = pa.array([D(1), None, D(1)])
    path = tmp_path / "x.parquet"
    parquet.write_table(candles_with({"volume": volume}), path)
    problems = Problems(strict=False)
    (table,) = read_file(path, problems)
    assert table.line.tolist() == [1, 3]
    assert problems.counted()[0].text == (
        "x.parquet, row 2: volume is empty; allowed is decimal128; left out"
    )
    with pytest.raises(DamagedData, match="row 2: volume is empty"):
        read_file(path, Problems(strict=True))
