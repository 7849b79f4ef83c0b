"""Candles as trades: the same way as the paper exchange walks, and the worst one on request."""

import tempfile
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensqt.adapters.replay.tables import CandlesTable
from opensqt.backtest.data.candles import CandlePath, worst_path
from opensqt.backtest.data.reading import read_tape
from opensqt.core.exchange.market import MarketTrade
from opensqt.core.grid.book import Direction
from opensqt.core.instrument import Instrument
from tests.unit.backtest.reading_world import (
    HEADING,
    RECORDINGS,
    START_MS,
    candle,
    instrument,
    notes,
    prices,
    write,
)


def assert_walked_alike(path: Path, rules: Instrument, *, candle_s: int = 60) -> None:
    """Trade by trade what the paper exchange plays."""
    tape = read_tape(path, rules, candle_s=candle_s)
    walked = [
        tick.happening
        for tick in CandlesTable(path, rules, interval_s=candle_s).ticks()
        if isinstance(tick.happening, MarketTrade)
    ]
    trades = tape.trades
    assert trades.time_ns.tolist() == [trade.time_ns for trade in walked]
    assert prices(tape) == [trade.price for trade in walked]
    assert [int(q) * tape.quantity_unit for q in trades.quantity] == [t.quantity for t in walked]
    assert trades.buyer_is_maker.tolist() == [trade.buyer_is_maker for trade in walked]


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Candles with any relation of the four prices, on the tick and off it, with no volume, too."""
    rows = []
    minute = 0
    for _ in range(draw(st.integers(1, 6))):
        minute += draw(st.sampled_from([1, 1, 1, 3]))
        four = draw(st.lists(st.integers(500, 540), min_size=4, max_size=4))
        places = draw(st.sampled_from([1, 2]))
        low, high = min(four), max(four)
        texts = [str(D(price).scaleb(-places)) for price in (four[0], high, low, four[3])]
        volume = draw(st.sampled_from(["0", "0.001", "0.0004", "13", "12.9999", "1234.567"]))
        rows.append(candle(minute, ",".join([*texts, volume])))
    return HEADING + "".join(rows)


@given(
    text=tables(),
    tick=st.sampled_from(["0.1", "0.05", "0.01", "0.4"]),
    step=st.sampled_from(["0.001", "1"]),
)
def test_vectors_walk_as_the_paper_exchange_does(text: str, tick: str, step: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), "btcusdt.csv", text)
        if all(line.endswith(",0") for line in text.splitlines()[1:]):
            return  # nothing was traded
        assert_walked_alike(path, instrument(tick=tick, step=step))


def test_the_week_of_a_collapse_is_walked_as_the_paper_exchange_does() -> None:
    path = RECORDINGS / "layerusdt_perp_1m_20250505.csv.gz"
    assert_walked_alike(path, instrument("LAYERUSDT", tick="0.0001", step="0.1"))


def turns(tmp_path: Path, row: str, way: CandlePath) -> list[int]:
    path = write(tmp_path, "btcusdt.csv", HEADING + candle(0, row))
    tape = read_tape(path, instrument(tick="1"), candle_s=60, candle_path=way)
    return tape.trades.price[::4].tolist()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("100,104,70,102,1", [100, 70, 104, 102]),  # rising: the low first, though it is far away
        ("100,130,96,98,1", [100, 130, 96, 98]),  # falling: the high first
    ],
)
def test_the_worst_way_is_the_shortest(
    tmp_path: Path, direction: Direction, row: str, expected: list[int]
) -> None:
    assert turns(tmp_path, row, worst_path(direction)) == expected


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        (Direction.LONG, [100, 90, 110, 100]),
        (Direction.NEUTRAL, [100, 90, 110, 100]),
        (Direction.SHORT, [100, 110, 90, 100]),
    ],
)
def test_a_candle_that_ends_where_it_began_meets_the_loss_first(
    tmp_path: Path, direction: Direction, expected: list[int]
) -> None:
    assert turns(tmp_path, "100,110,90,100,1", worst_path(direction)) == expected


@given(
    four=st.lists(st.integers(50, 90), min_size=4, max_size=4),
    direction=st.sampled_from(list(Direction)),
    level=st.integers(50, 90),
)
def test_the_worst_way_crosses_no_level_more_often_than_the_other_order(
    four: list[int], direction: Direction, level: int
) -> None:
    start, close, low, high = four[0], four[3], min(four), max(four)
    row = f"{start},{high},{low},{close},1"
    with tempfile.TemporaryDirectory() as folder:
        worst = turns(Path(folder), row, worst_path(direction))
    other = [worst[0], worst[2], worst[1], worst[3]]

    def crossings(way: list[int]) -> int:
        return sum((a < level + 0.5) != (b < level + 0.5) for a, b in pairwise(way))

    assert crossings(worst) <= crossings(other)


def test_candles_without_volume_trade_nothing_and_are_counted(tmp_path: Path) -> None:
    text = HEADING + candle(0) + candle(1, "100,100,100,100,0") + candle(2)
    tape = read_tape(write(tmp_path, "btcusdt.csv", text), instrument(), strict=True)
    assert len(tape.trades) == 26
    assert notes(tape) == {"no_volume": 1}
    minutes = (tape.trades.time_ns // 10**6 - START_MS) // 60_000
    assert np.unique(minutes).tolist() == [0, 2]
