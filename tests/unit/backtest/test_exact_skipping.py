"""Passing events over changes nothing: the same result as event by event, whatever is in play."""

import os
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import numpy as np
import pytest

from opensqt.backtest.case import AccountCase, Case, Latency, Mode
from opensqt.backtest.columns import Ints
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.exact.every import run_every
from opensqt.backtest.exact.finding import Range, Skipping, Stepping
from opensqt.backtest.exact.skipping import run_skipping
from opensqt.backtest.exact.timeline import FAR, Timeline
from opensqt.backtest.run import run
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import AtrSpacing, GridConfig
from opensqt.core.instrument import Instrument
from opensqt.engine.bot import Bot
from opensqt.testing.tapes import MS, random_case, random_cases_together

SEEDS = int(os.environ.get("OPENSQT_SKIPPING_SEEDS", "100"))
"""Random cases that are compared; a thousand take some minutes."""
QUARTER_NS = 250 * MS
RECORDINGS = Path(__file__).parents[3] / "recordings"
PERPETUAL = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(1000),
    min_notional=D(100),
)


def same(case: Case) -> tuple[int, int]:
    """Run a case in three ways; how many events were acted on event by event, and else."""
    timeline = Timeline.of({bot.symbol: case.tapes[bot.symbol] for bot in case.bots})
    every = run_every(case, timeline)
    acted = set()
    for mode in (Mode.STEP, Mode.SKIP):
        result = run_skipping(case, timeline, mode)
        assert result.mode is mode
        assert result.same_as(every), f"{mode} differs"
        acted.add(result.acted)
    assert len(acted) == 1
    return every.acted, acted.pop()


def test_random_cases_come_out_as_event_by_event() -> None:
    every = rest = 0
    for seed in range(SEEDS):
        acted = same(random_case(seed, trades=120))
        every, rest = every + acted[0], rest + acted[1]
    assert rest < 0.8 * every


def test_so_do_spacings_that_follow_the_market() -> None:
    for seed in range(SEEDS // 5):
        case = random_case(seed, trades=120)
        (bot,) = case.bots
        spacing = AtrSpacing(period=2 + seed % 3, multiple=D("0.3") * (1 + seed % 4), max_spacing=5)
        same(replace(case, bots=(replace(bot, grid=replace(bot.grid, atr=spacing)),)))


def test_so_do_things_that_come_at_the_same_time() -> None:
    """Everything happens at quarters of a second, as back-offs end, and many an order is refused."""
    for seed in range(SEEDS // 2):
        case = random_case(seed, trades=120)
        (bot,), ((symbol, tape),), ((_, rules),) = (
            case.bots,
            case.tapes.items(),
            case.markets.items(),
        )
        atr = AtrSpacing(period=1, multiple=D("0.4")) if seed % 3 == 0 else None
        coarse = {
            name: replace(table, time_ns=table.time_ns // QUARTER_NS * QUARTER_NS)
            for name, table in (
                ("trades", tape.trades),
                ("quotes", tape.quotes),
                ("marks", tape.marks),
                ("fundings", tape.fundings),
            )
        }
        same(
            replace(
                case,
                bots=(replace(bot, grid=replace(bot.grid, atr=atr)),),
                tapes={symbol: replace(tape, **coarse)},
                markets={symbol: replace(rules, max_open_orders=3)},
                latency=Latency(
                    market_ns=seed % 4 * QUARTER_NS,
                    order_ns=seed // 4 % 3 * QUARTER_NS,
                    report_ns=seed // 12 % 2 * QUARTER_NS,
                ),
            )
        )


def test_what_once_came_out_differently() -> None:
    same(random_cases_together(2064, trades=200))  # a price is heard just when a back-off ends
    same(random_case(2168))  # an order fills at once, and two prices are heard at the same time
    same(random_cases_together(2236))


def test_so_do_several_markets_on_shared_accounts() -> None:
    for seed in range(SEEDS // 4):
        same(random_cases_together(seed, symbols=2 + seed % 2, trades=60))


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("latency_ms", [0, 80])
def test_a_recording_comes_out_as_event_by_event(direction: Direction, latency_ms: int) -> None:
    tape = read_tape(RECORDINGS / "btcusdt_usdm_20240808.jsonl.gz", PERPETUAL)
    few = replace(tape, trades=tape.trades.taken(slice(3_000)))
    last_ns = few.trades.time_ns[-1]
    few = replace(
        few,
        quotes=tape.quotes.taken(tape.quotes.time_ns <= last_ns),
        marks=tape.marks.taken(tape.marks.time_ns <= last_ns),
        fundings=tape.fundings.taken(tape.fundings.time_ns <= last_ns),
    )
    bot = Bot(
        bot_id="btc",
        account="main",
        symbol="BTCUSDT",
        direction=direction,
        anchor=None,
        grid=GridConfig(interval=D(10), buy_levels=4, sell_levels=4, quantity=D("0.01")),
        instrument=PERPETUAL,
    )
    case = Case(
        bots=(bot,),
        markets={"BTCUSDT": MarketRules(instrument=PERPETUAL)},
        tapes={"BTCUSDT": few},
        accounts={"main": AccountCase(deposit=D(10_000))},
        latency=Latency(
            market_ns=latency_ms * MS, order_ns=latency_ms * MS, report_ns=latency_ms * MS
        ),
    )
    same(case)


def test_the_fastest_that_does_it_is_taken_and_says_why_not_a_faster_one() -> None:
    slow = replace(random_case(1), latency=Latency(order_ns=1))
    result = run(slow)
    assert result.mode is Mode.SKIP
    assert result.detours == ("not in whole numbers: mark prices in the data",)
    with pytest.raises(ValueError, match=r"mode integer: mark prices in the data; allowed: auto"):
        run(slow, mode=Mode.INTEGER)
    assert run(slow, mode=Mode.STEP).mode is Mode.STEP
    assert run(slow, mode=Mode.EVERY).mode is Mode.EVERY


def test_progress_is_told_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    result = run(random_case(1), mode=Mode.SKIP, progress=lambda *now: seen.append(now))
    assert seen[-1] == (result.events, result.events)
    assert seen == sorted(seen)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_is_the_first_one_outside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns: tuple[Ints, ...] = tuple(rng.integers(0, 1000, 3_000) for _ in range(3))
    stepping, skipping = Stepping(columns), Skipping(columns)
    for _ in range(50):
        ranges = tuple(
            Range(column, int(rng.integers(-1, 8)), int(rng.integers(990, 1001)))
            for column in rng.permutation(3)[: rng.integers(1, 4)].tolist()
        )
        start, stop = sorted(rng.integers(0, 3_001, 2).tolist())
        outside = [
            index
            for index in range(start, stop)
            if any(not each.least <= columns[each.column][index] <= each.most for each in ranges)
        ]
        first = outside[0] if outside else stop
        assert stepping.first_outside(ranges, start, stop) == first
        assert skipping.first_outside(ranges, start, stop) == first


def test_a_range_without_bounds_lets_everything_by() -> None:
    columns = (np.array([-FAR, FAR, 0]),)
    for finder in (Stepping(columns), Skipping(columns)):
        assert finder.first_outside((Range(0),), 0, 3) == 3
        assert finder.first_outside((Range(0, least=-FAR + 1),), 0, 3) == 0
