"""The parts of the whole-number engine: sums, searches, tables that grow, and its compiler."""

import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.integer import building, finding, machine, notices
from opensqt.backtest.integer.engine import prepare, run_integer
from opensqt.backtest.integer.records import TIED, WORLD
from opensqt.backtest.integer.sums import share
from opensqt.backtest.rounding import half_even
from opensqt.backtest.run import run
from opensqt.testing.tapes import Walk, random_case, random_tape

SEED = 4


def plain_case(seed: int = SEED) -> Case:
    """A random case of trades alone, which whole numbers compute."""
    case = random_case(seed, trades=200)
    (bot,), ((symbol, tape),) = case.bots, case.tapes.items()
    return replace(
        case,
        bots=(replace(bot, grid=replace(bot.grid, atr=None)),),
        tapes={symbol: replace(tape, quotes=tape.quotes.taken([]), marks=tape.marks.taken([]))},
    )


def at(column: NDArray[Any]) -> int:
    """Where a column is."""
    return column.ctypes.data


def test_a_share_is_that_of_whole_numbers_of_any_size() -> None:
    random = Random(SEED)
    compared = 0
    while compared < 2_000:
        amount, of, whole = (random.randint(1, 2 ** random.randint(1, 61)) for _ in range(3))
        sign = random.choice((-1, 1))
        expected = half_even(sign * amount * of, whole)
        if abs(expected) < 2**61:
            assert share(sign * amount, of, whole) == share(amount, sign * of, whole) == expected
            compared += 1
    halves = [(1, 1, 2), (3, 1, 2), (5, 1, 2), (2**61, 3, 2**62 - 2**61), (7, 1, 14)]
    assert [share(*terms) for terms in halves] == [0, 2, 2, 3, 0]


@pytest.mark.parametrize("low", [-3, 9_700, 9_990])
def test_what_is_found_is_what_a_plain_look_finds(low: int) -> None:
    trades = random_tape(3, Walk(trades=2_000)).trades
    prices, makers, high = trades.price, trades.buyer_is_maker.view(np.uint8), low + 300
    bids = prices - (1 - makers)
    for start in (0, 1, 300, 1_999, 2_000):
        beyond = np.flatnonzero((prices <= low) | (prices >= high))
        outside = np.flatnonzero((bids < low) | (bids > high))
        for found, expected in (
            (finding.next_beyond(at(prices), start, 2_000, low, high), beyond),
            (
                finding.next_outside(at(prices), at(makers), start, 2_000, low, high),
                outside,
            ),
        ):
            assert found == min([n for n in expected.tolist() if n >= start], default=2_000)


def test_the_first_trade_from_a_time_on() -> None:
    times = np.array([3, 3, 5, 5, 5, 9, 12, 12], dtype=np.int64)
    for start in range(9):
        for time_ns in range(14):
            expected = max(start, int(np.searchsorted(times, time_ns)))
            assert finding.first_from(at(times), start, 8, time_ns) == expected


@pytest.mark.parametrize(
    ("numbers", "least", "back"),
    [([1, 1, 2], 0, False), ([1, 1, 2], 1, True), ([1, 3, 2], 0, True), ([1], 1, False)],
)
def test_numbers_that_go_back(numbers: list[int], least: int, *, back: bool) -> None:
    column = np.array(numbers, dtype=np.int64)
    assert finding.goes_back(at(column), len(column), least) == back


def test_tables_grow_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = 0

    class Counted(building.Tables):
        def grow(self) -> None:
            nonlocal grown
            grown += 1
            super().grow()

    cases = [plain_case(seed) for seed in range(12)]
    expected = [run(case, mode=Mode.AUTO) for case in cases]
    monkeypatch.setattr(building, "ROWS", 1)
    monkeypatch.setattr("opensqt.backtest.integer.engine.Tables", Counted)
    for case, result in zip(cases, expected, strict=True):
        assert run(case, mode=Mode.AUTO).same_as(result)
    assert grown > len(cases)


def test_columns_may_be_read_only_and_apart() -> None:
    case = plain_case()
    expected = run_integer(case)
    ((symbol, tape),) = case.tapes.items()
    columns = {}
    for name in ("time_ns", "price", "quantity", "buyer_is_maker", "row"):
        column = getattr(tape.trades, name)
        wide = np.zeros((len(column), 2), column.dtype)
        wide[:, 0] = column
        columns[name] = wide[:, 0]
        columns[name].flags.writeable = False
    apart = replace(tape, trades=replace(tape.trades, **columns))
    assert run_integer(replace(case, tapes={symbol: apart})).same_as(expected)


@pytest.mark.parametrize("missing", ["numba", "llvmlite"])
def test_without_a_compiler_another_engine_says_so(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = plain_case()
    expected = run(case)
    for name in list(sys.modules):
        if name.partition(".")[0] == missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "llvmlite":  # not even what is compiled can be loaded
        monkeypatch.delitem(sys.modules, "opensqt.backtest.integer.machine")
    else:
        monkeypatch.delitem(sys.modules, "opensqt.backtest.integer.life", raising=False)
        monkeypatch.setattr(machine, "places", lambda: iter([tmp_path]))
        machine.loop.cache_clear()
    prepare()
    result = run(case)
    assert expected.mode is Mode.INTEGER
    assert result.mode is Mode.SKIP
    assert result.detours == (f"not in whole numbers: {missing} is not installed",)
    assert result.same_as(expected)
    with pytest.raises(ValueError, match=f"{missing} is not installed"):
        run(case, mode=Mode.INTEGER)


def test_a_compiler_that_does_not_go_with_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loop() -> None:
        raise ImportError("Numba needs NumPy 2.5 or less. Got NumPy 3.0.")

    monkeypatch.setattr(machine, "loop", loop)
    result = run(plain_case())
    assert result.mode is Mode.SKIP
    assert "Numba needs NumPy 2.5 or less" in result.detours[0]


def test_it_is_compiled_once_and_then_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiled = 0
    made = machine.kept() or machine._compiled()

    def compiler() -> bytes:
        nonlocal compiled
        compiled += 1
        return made

    closed = tmp_path / "closed"
    closed.write_text("a file, so no folder")
    monkeypatch.setattr(machine, "places", lambda: iter([closed, tmp_path / "open"]))
    monkeypatch.setattr(machine, "_compiled", compiler)
    world = np.zeros(1, WORLD)
    for _ in range(3):
        world["floor"]["status"] = TIED  # so that it ends at once
        machine.loop.cache_clear()
        machine.loop()(at(world))
        assert world[0]["clock"]["block"]
    assert compiled == 1

    (kept,) = (tmp_path / "open").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    machine.loop.cache_clear()
    machine.loop()(at(world))
    assert compiled == 2, "what is not whole is not run"

    monkeypatch.setattr(machine, "places", lambda: iter([closed]))
    machine.loop.cache_clear()
    machine.loop()(at(world))
    assert compiled == 3, "without a place to keep it"
    machine.loop.cache_clear()


def test_it_is_filed_under_its_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = machine._name()
    for path in machine.SOURCES.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(machine, "SOURCES", tmp_path)
    assert machine._name() == before
    with (tmp_path / "sums.py").open("a", encoding="utf-8") as source:
        source.write("# another one\n")
    assert machine._name() != before


def test_who_asks_is_told_of_compiling_once() -> None:
    told: list[str] = []
    notices.tell_of_compiling(lambda: told.append("compiling"))
    notices.compiling()
    notices.compiling()
    assert told == ["compiling"]
