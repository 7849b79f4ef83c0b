"""The parts of the whole-number engine: sums, searches, tables that grow, and its compiler."""

import sys
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.integer import building, compiled, finding, notices
from opensqt.backtest.integer.engine import prepare, run_integer
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
            (finding.next_beyond(prices, start, 2_000, low, high), beyond),
            (finding.next_outside(prices, makers, start, 2_000, low, high), outside),
        ):
            assert found == min([at for at in expected.tolist() if at >= start], default=2_000)


def test_the_first_trade_from_a_time_on() -> None:
    times = np.array([3, 3, 5, 5, 5, 9, 12, 12], dtype=np.int64)
    for start in range(9):
        for time_ns in range(14):
            expected = max(start, int(np.searchsorted(times, time_ns)))
            assert finding.first_from(times, start, 8, time_ns) == expected


def test_numbers_that_go_back() -> None:
    assert not finding.goes_back(np.array([1, 1, 2]), 0)
    assert finding.goes_back(np.array([1, 1, 2]), 1)
    assert finding.goes_back(np.array([1, 3, 2]), 0)
    assert not finding.goes_back(np.array([1]), 1)


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


def test_without_a_compiler_another_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    case = plain_case()
    expected = run(case)
    for name in list(sys.modules):
        if name.startswith("opensqt.backtest.integer.") and not name.endswith(
            ("engine", "ordinary", "records", "scale", "building")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    prepare()
    result = run(case)
    assert expected.mode is Mode.INTEGER
    assert result.mode is Mode.SKIP
    assert result.detours == ("not in whole numbers: numba is not installed",)
    assert result.same_as(expected)
    with pytest.raises(ValueError, match="numba is not installed"):
        run(case, mode=Mode.INTEGER)


def test_who_asks_is_told_of_compiling_once() -> None:
    told: list[str] = []
    notices.tell_of_compiling(lambda: told.append("compiling"))

    @compiled.part
    def twice(number: int) -> int:
        return 2 * number

    @compiled.part
    def four_times(number: int) -> int:
        return twice(twice(number))

    assert four_times(3) == 12
    assert told == ["compiling"]


def test_another_source_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept on disk is of the sources as they are, those that are only called included."""

    def make(digest: str) -> object:
        def said() -> bool:
            return bool(digest)

        return said

    def kept(source: str) -> object:
        monkeypatch.setattr(compiled, "_digest", lambda: source)
        function = compiled.whole(make)  # type: ignore[type-var]
        return function._cache._index_key((), function.targetctx.codegen())  # type: ignore[attr-defined]

    assert kept("one") == kept("one")
    assert kept("one") != kept("other")
