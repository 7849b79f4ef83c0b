"""The services on virtual time do with a market what a backtest of it does, order by order."""

from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from opensqt.backtest.case import AccountCase, Case, Latency, Mode
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.diff import Comparison, DifferenceKind, compare
from opensqt.backtest.recorded.run import RunEnd, RunPurpose
from opensqt.backtest.recorded.sources import run_of
from opensqt.backtest.run import run
from opensqt.backtest.tape import Tape
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import AtrSpacing, GridConfig
from opensqt.core.instrument import Instrument
from opensqt.engine.bot import Bot
from opensqt.testing.tapes import random_case
from services.execution.sending import Pauses
from simulation.parity.stack import NO_PAUSES, run_stack

RECORDING = Path(__file__).resolve().parents[3] / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"
INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D(5),
)
MS = 10**6
RANDOM = 8


@pytest.fixture(scope="module")
def tape() -> Tape:
    return read_tape(RECORDING, INSTRUMENT)


@pytest.fixture(scope="module")
def piece() -> Tape:
    """Its first hundred seconds."""
    return read_tape(RECORDING, INSTRUMENT, end_ns=1_723_161_355 * 10**9)


def case(tape: Tape, latency: Latency, **grid: Any) -> Case:
    terms: dict[str, Any] = {
        "interval": D(5),
        "buy_levels": 8,
        "sell_levels": 8,
        "quantity": D("0.005"),
        "max_position": D("0.04"),
    }
    direction = grid.pop("direction", Direction.NEUTRAL)
    bot = Bot(
        bot_id="example",
        account="paper",
        symbol="BTCUSDT",
        direction=direction,
        anchor=None,
        grid=GridConfig(**(terms | grid)),
        instrument=INSTRUMENT,
    )
    return Case(
        bots=(bot,),
        markets={"BTCUSDT": MarketRules(instrument=INSTRUMENT)},
        tapes={"BTCUSDT": tape},
        accounts={"paper": AccountCase(deposit=D(10_000))},
        latency=latency,
    )


def latency(market_ms: int, order_ms: int, report_ms: int) -> Latency:
    return Latency(market_ns=market_ms * MS, order_ns=order_ms * MS, report_ns=report_ms * MS)


def held_against(
    backtested: Case,
    *,
    through_services: Case | None = None,
    tolerance_ns: int = 0,
    pauses: Pauses = NO_PAUSES,
    seed: int = 0,
    mode: Mode = Mode.EVERY,
) -> Comparison:
    """A backtest, and the services on the same case or on another one."""
    return compare(
        run_of(backtested, run(backtested, mode=mode)),
        run_stack(through_services or backtested, pauses=pauses, seed=seed),
        tolerance_ns=tolerance_ns,
        same_clock=True,
    )


@pytest.mark.parametrize(
    ("delays", "grid", "fills_min"),
    [((0, 0, 0), {"direction": Direction.LONG}, 30), ((20, 20, 20), {}, 150)],
)
def test_the_recording_through_the_services_is_the_backtest(
    tape: Tape, delays: tuple[int, int, int], grid: dict[str, Any], fills_min: int
) -> None:
    is_the_backtest(case(tape, latency(*delays), **grid), fills_min)


@pytest.mark.parametrize(
    ("delays", "grid", "fills_min"),
    [
        ((20, 20, 20), {"direction": Direction.SHORT}, 30),
        ((5, 70, 30), {"interval": D(2), "slack_levels": 0, "skew_levels": 3}, 60),
        ((50, 50, 50), {"post_only": False, "quantity": None, "quote_amount": D(400)}, 30),
        ((0, 0, 0), {"atr": AtrSpacing(period=1, multiple=D("0.2"))}, 30),
    ],
)
def test_other_bots_on_a_piece_of_it_are_the_backtest(
    piece: Tape, delays: tuple[int, int, int], grid: dict[str, Any], fills_min: int
) -> None:
    is_the_backtest(case(piece, latency(*delays), **grid), fills_min)


def is_the_backtest(some: Case, fills_min: int) -> None:
    found = held_against(some)
    assert found.differences == ()
    assert found.a.fills >= fills_min
    assert found.paired == len(found.a.orders) == len(found.b.orders)


@pytest.mark.parametrize("seed", range(RANDOM))
def test_random_markets_through_the_services_are_the_backtest(seed: int) -> None:
    """Whatever the settings, and by whatever engine is the fastest."""
    mode = Mode.AUTO if seed % 2 else Mode.EVERY
    assert held_against(random_case(seed, trades=100), seed=seed, mode=mode).differences == ()


@pytest.mark.invariant(52)
@pytest.mark.parametrize("mode", [Mode.EVERY, Mode.AUTO])
@pytest.mark.parametrize("short", ["margin", "room for orders"])
@pytest.mark.parametrize("delays", [(0, 0, 0), (20, 70, 40)])
def test_openings_that_pause_are_the_backtest(
    piece: Tape, short: str, delays: tuple[int, int, int], mode: Mode
) -> None:
    some = case(piece, latency(*delays))
    if short == "margin":
        some = replace(some, accounts={"paper": AccountCase(deposit=D(60))})
    else:
        rules = replace(some.markets["BTCUSDT"], max_open_orders=6)
        some = replace(some, markets={"BTCUSDT": rules})
    found = held_against(some, mode=mode)
    assert found.differences == ()
    opened = [order for order in found.a.orders if order.purpose is RunPurpose.OPEN]
    refused = [order for order in opened if order.end is RunEnd.REFUSED]
    there_and_back_ns = (delays[1] + delays[2]) * MS
    for refusal in refused:
        assert refusal.decided_ns is not None
        heard_ns = refusal.decided_ns + there_and_back_ns
        for order in opened:
            assert order.decided_ns is not None
            assert not heard_ns < order.decided_ns < heard_ns + 10**9
    assert len(refused) >= 5
    assert found.a.fills >= 20


@pytest.mark.parametrize("seed", [44, 271])
def test_a_liquidation_through_the_services_is_the_backtest(seed: int) -> None:
    found = held_against(random_case(seed, trades=100), seed=seed)
    assert found.differences == ()
    assert [order.end for order in found.a.orders if order.purpose is RunPurpose.FORCED]


def test_in_which_order_processes_take_their_turns_changes_nothing(piece: Tape) -> None:
    some = case(piece, latency(20, 20, 20))
    runs = [run_stack(some, seed=seed) for seed in (1, 2)]
    assert compare(*runs, tolerance_ns=0, same_clock=True).differences == ()


def test_what_execution_leaves_to_the_placing_delays_cancels_by_milliseconds(piece: Tape) -> None:
    some = case(piece, latency(20, 20, 20))
    assert held_against(some, pauses=Pauses(), tolerance_ns=10 * MS).differences == ()
    exactly = held_against(some, pauses=Pauses())
    kinds = {found.kind for found in exactly.differences}
    assert kinds == {DifferenceKind.TIME}  # and none of them makes another order or fill


def test_other_latencies_are_other_runs(piece: Tape) -> None:
    slow = case(piece, latency(200, 200, 200), interval=D(2))
    fast = case(piece, latency(0, 0, 0), interval=D(2))
    found = held_against(fast, through_services=slow, tolerance_ns=50 * MS)
    assert {DifferenceKind.TIME, DifferenceKind.FILL_MISSING} <= {
        difference.kind for difference in found.differences
    }


def test_several_bots_are_refused(piece: Tape) -> None:
    one = case(piece, latency(0, 0, 0))
    with pytest.raises(ValueError, match="2 bots; allowed: one"):
        run_stack(replace(one, bots=one.bots * 2))
