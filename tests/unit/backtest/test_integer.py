"""Whole numbers against event by event: the same orders and fills, or a refusal to compute."""

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from opensqt.backtest.case import AccountCase, Case, Latency, Mode
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.integer.engine import run_integer
from opensqt.backtest.integer.ordinary import NotOrdinary, unsupported
from opensqt.backtest.result import End
from opensqt.backtest.rounding import half_even
from opensqt.backtest.run import run
from opensqt.backtest.tape import Marks, Quotes, Trades
from opensqt.core.exchange.rules import Fees, MarketRules, Touch
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import AtrSpacing, GridConfig
from opensqt.engine.bot import Bot
from opensqt.testing.tapes import INSTRUMENT, MS, Walk, random_case, random_tape

SEEDS = int(os.environ.get("OPENSQT_INTEGER_SEEDS", "100"))
"""Random cases that are compared; a thousand take a minute or two."""

MANY = 10_000
QUARTER_NS = 250 * MS
RECORDINGS = Path(__file__).parents[3] / "recordings"


def ordinary(seed: int, *, trades: int = 300) -> Case:
    """A random case without what whole numbers leave to others from the start."""
    case = random_case(seed, trades=trades)
    ((symbol, tape),) = case.tapes.items()
    return replace(
        case,
        tapes={symbol: replace(tape, quotes=Quotes.empty(), marks=Marks.empty())},
    )


def with_rules(case: Case, **changes: object) -> Case:
    ((symbol, rules),) = case.markets.items()
    return replace(case, markets={symbol: replace(rules, **changes)})  # type: ignore[arg-type]


def with_grid(case: Case, **changes: object) -> Case:
    (bot,) = case.bots
    return replace(case, bots=(replace(bot, grid=replace(bot.grid, **changes)),))  # type: ignore[arg-type]


def rich(case: Case) -> Case:
    return replace(case, accounts={"main": AccountCase(deposit=Decimal(10**7))})


def compare(case: Case) -> str:
    """Why it was not computed; empty when it was, and was the same."""
    try:
        fast = run_integer(case)
    except NotOrdinary as reason:
        return reason.reason
    slow = run(case, mode=Mode.EVERY)
    for name in ("orders", "fills", "payments", "bots"):
        assert getattr(fast, name) == getattr(slow, name), name
    assert fast.same_as(slow)
    assert (fast.events, fast.mode) == (slow.events, Mode.INTEGER)
    return ""


def reason_of(case: Case) -> str:
    """Why a case is not computed; empty when it is."""
    try:
        run_integer(case)
    except NotOrdinary as not_ordinary:
        return not_ordinary.reason
    return ""


def test_random_cases_come_out_as_event_by_event() -> None:
    reasons = [compare(ordinary(seed)) for seed in range(SEEDS)]
    assert reasons.count("") > 0.9 * SEEDS, "nearly all are computed, or this shows little"
    assert set(reasons) <= {"", "the account comes near its liquidation"}


def coinciding(seed: int) -> Case:
    """A random case in which everything happens, and takes, some quarters of a second."""
    case, rng = ordinary(seed, trades=200), np.random.default_rng([seed, 5])
    ((symbol, tape),) = case.tapes.items()
    trades, fundings = tape.trades, tape.fundings
    tape = replace(
        tape,
        trades=replace(trades, time_ns=trades.time_ns // QUARTER_NS * QUARTER_NS),
        fundings=replace(fundings, time_ns=fundings.time_ns // QUARTER_NS * QUARTER_NS),
    )
    market_ns, order_ns, report_ns = (QUARTER_NS * rng.choice([0, 0, 1, 1, 2, 4, 12], 3)).tolist()
    return replace(
        case,
        tapes={symbol: tape},
        latency=Latency(market_ns=market_ns, order_ns=order_ns, report_ns=report_ns),
    )


def test_what_comes_at_the_same_time_comes_in_the_same_order() -> None:
    """Back-offs and pauses are whole quarters of a second as well."""
    reasons = [compare(coinciding(seed)) for seed in range(SEEDS // 2)]
    assert reasons.count("") > 0.9 * len(reasons)


def test_a_spacing_that_follows_the_market_is_that_of_its_candles() -> None:
    computed = changed = 0
    for seed in range(SEEDS // 5):
        plain, rng = with_grid(ordinary(seed), atr=None), np.random.default_rng([seed, 6])
        multiple, most = Decimal(int(rng.integers(1, 40))) / 10, int(rng.integers(1, 9))
        atr = AtrSpacing(period=int(rng.integers(1, 5)), multiple=multiple, max_spacing=most)
        case = with_grid(plain, atr=atr)
        if not compare(case):
            computed += 1
            changed += not reason_of(plain) and not run_integer(case).same_as(run_integer(plain))
    assert computed > SEEDS // 6
    assert changed > SEEDS // 20


def test_who_takes_liquidity_pays_for_it() -> None:
    taken = 0
    for seed in range(60):
        case = with_grid(ordinary(seed), post_only=False)
        try:
            result = run_integer(case)
        except NotOrdinary:
            continue
        if not result.fills.maker.all():
            taken += 1
            assert not compare(case)
        if taken == 5:
            return
    pytest.fail(f"an order took liquidity in {taken} cases only")


@pytest.mark.parametrize("direction", Direction)
def test_a_long_walk_from_level_to_level(direction: Direction) -> None:
    """Fills whole and through only: the way that jumps from one level to another."""
    for seed in range(2):
        case = rich(ordinary(seed))
        case = with_rules(case, touch=Touch.NEVER, bounded=False, max_open_orders=MANY)
        case = with_grid(
            case, max_position=None, skew_levels=0, post_only=True, max_open_orders=MANY
        )
        (bot,) = case.bots
        walk = Walk(trades=1_500, stride=(4, 30)[seed % 2], jump=0.002)
        case = replace(
            case,
            bots=(replace(bot, direction=direction),),
            tapes={bot.symbol: random_tape(seed, walk)},
        )
        assert compare(case) == ""


class Recording(NamedTuple):
    """A bundled market, the grid that trades it, and the engine that is the reference."""

    file: str
    tick: str
    step: str
    interval: str
    quantity: str
    other: Mode


@pytest.mark.parametrize(
    "recorded",
    [
        Recording("btcusdt_usdm_20240808.jsonl.gz", "0.1", "0.001", "5", "0.01", Mode.EVERY),
        Recording("btcusdt_perp_1m_20250603.csv.gz", "0.1", "0.001", "50", "0.01", Mode.EVERY),
        Recording("btcusdt_perp_1m_202505.csv.gz", "0.1", "0.001", "1000", "0.01", Mode.SKIP),
        Recording("layerusdt_perp_1m_20250505.csv.gz", "0.0001", "1", "0.05", "100", Mode.SKIP),
    ],
    ids=lambda recorded: recorded.file.partition(".")[0],
)
@pytest.mark.parametrize("direction", [Direction.LONG, Direction.NEUTRAL])
def test_recordings_come_out_as_with_another_engine(
    recorded: Recording, direction: Direction
) -> None:
    file, tick, step, interval, quantity, other = recorded
    instrument = replace(
        INSTRUMENT,
        symbol=file.split("_", maxsplit=1)[0].upper(),
        tick_size=Decimal(tick),
        step_size=Decimal(step),
        min_quantity=Decimal(step),
        max_quantity=Decimal(10_000),
    )
    tape = read_tape(RECORDINGS / file, instrument, trades_only=True)
    grid = GridConfig(
        interval=Decimal(interval), buy_levels=8, sell_levels=8, quantity=Decimal(quantity)
    )
    bot = Bot(
        bot_id="btc",
        account="main",
        symbol=instrument.symbol,
        direction=direction,
        anchor=None,
        grid=grid,
        instrument=instrument,
    )
    case = Case(
        bots=(bot,),
        markets={bot.symbol: MarketRules(instrument=instrument)},
        tapes={bot.symbol: tape},
        accounts={"main": AccountCase(deposit=Decimal(100_000))},
    )
    fast = run_integer(case)
    assert fast.same_as(run(case, mode=other))
    assert len(fast.fills) > 20


def test_what_is_refused_waits_and_is_placed_again() -> None:
    seen = 0
    for seed in range(60):
        case = rich(with_grid(ordinary(seed), post_only=True))
        (bot,) = case.bots
        case = replace(case, bots=(replace(bot, direction=Direction.NEUTRAL),))
        try:
            result = run_integer(case)
        except NotOrdinary:
            continue
        if End.REFUSED in result.orders.end:
            seen += 1
            assert not compare(case)
        if seen == 5:
            return
    pytest.fail(f"the exchange refused an order in {seen} cases only")


def test_what_is_not_computed_is_said_beforehand() -> None:
    case = ordinary(0)
    (bot,), ((symbol, tape),) = case.bots, case.tapes.items()
    quoted = random_tape(1, Walk(quotes=True, marks=True))
    strange = {
        "several bots": replace(case, bots=(bot, bot)),
        "best prices in the data; mark prices in the data": replace(case, tapes={symbol: quoted}),
        "no trades in the data": replace(
            case, tapes={symbol: replace(tape, trades=Trades.empty())}
        ),
    }
    assert unsupported(case) == ()
    for reason, other in strange.items():
        assert "; ".join(unsupported(other)) == reason
        with pytest.raises(NotOrdinary, match=reason):
            run_integer(other)


def test_an_account_that_is_nearly_lost_ends_it() -> None:
    reasons = {reason_of(ordinary(seed)) for seed in range(300)}
    assert reasons == {"", "the account comes near its liquidation"}


def test_times_that_go_back_are_refused() -> None:
    case = ordinary(0)
    ((symbol, tape),) = case.tapes.items()
    for name, said in (("time_ns", "times go back"), ("row", "rows repeat or go back")):
        column = getattr(tape.trades, name).copy()
        column[5] = column[4] - 1
        bad = replace(tape, trades=replace(tape.trades, **{name: column}))
        with pytest.raises(ValueError, match=said):
            run_integer(replace(case, tapes={symbol: bad}))


def test_halves_are_rounded_to_the_even_one() -> None:
    pairs = [(5, 2), (7, 2), (-5, 2), (-7, 2), (9, 4), (11, 4), (-11, 4), (0, 3), (6, 3)]
    assert [half_even(n, d) for n, d in pairs] == [round(n / d) for n, d in pairs]


def test_a_fee_of_many_digits_is_rounded_by_the_same_rule() -> None:
    fees = Fees(maker=Decimal("0.000123456789012345"))
    assert compare(with_rules(rich(ordinary(7)), fees=fees)) == ""
