"""A trial is the backtest that a trader would run by hand, and nothing else."""

import pickle
from decimal import Decimal
from pathlib import Path

import pytest

from opensqt.backtest.figures.accounting import account_for
from opensqt.backtest.figures.metrics import metrics_of
from opensqt.backtest.run import run
from opensqt.backtest.search.evaluation import BacktestSetup
from opensqt.backtest.search.goals import Constraint, Direction, Goals, Objective
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.measures import MEASURES, judge
from opensqt.backtest.search.searching import Search, search
from opensqt.backtest.search.shared_tape import SharedTape
from opensqt.backtest.search.space import Range, SearchSpace
from opensqt.backtest.search.study import Study
from opensqt.backtest.search.trials import Status
from opensqt.backtest.search.walk import Span, Window, between, history_of
from opensqt.backtest.search.workers import InProcess, Processes
from opensqt.core.exchange.rules import MarketRules
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.testing.tapes import INSTRUMENT, Walk, random_tape
from tests.unit.backtest.search.stub import D
from tests.unit.backtest.search.test_settings import BOT

TAPE = random_tape(11, Walk(trades=1_500, stride=8, fundings=2))
WHOLE = history_of([TAPE])
NO_LATENCY = BacktestConfig.model_validate(
    {"deposit": 100, "latency": {"market": "0", "order": "0", "report": "0"}}
)
SETUP = BacktestSetup(
    bot=BOT,
    assumed=NO_LATENCY,
    market=MarketRules(instrument=INSTRUMENT),
    tape=TAPE,
    wanted=frozenset({"return", "sharpe"}),
)


def test_a_trial_says_what_the_backtest_s_own_report_says() -> None:
    span = Span(start_ns=WHOLE.start_ns, end_ns=(WHOLE.start_ns + WHOLE.end_ns) // 2)
    settings = {"grid.interval": D("1.5"), "assume.deposit": D(250)}
    evaluator = SETUP.open()
    outcome = evaluator.judge(settings, span)
    case = evaluator.case(settings, span)
    assert case.bots[0].grid.interval == D("1.5")
    assert case.accounts["paper"].deposit == 250
    assert case.tapes["BTCUSDT"].trades == between(TAPE, span).trades
    result = run(case)
    assert len(result.fills) > 20
    (books,) = account_for(case, result).accounts
    metrics = metrics_of(case, result, books)
    told = outcome.measures
    assert told["profit"] == books.final - books.initial == metrics.profit
    assert told["return"] == metrics.profit / 250
    assert told["fills"] == metrics.fills
    assert told["fees"] == books.split.fees
    assert told["sharpe"] == (None if metrics.sharpe is None else Decimal(repr(metrics.sharpe)))
    assert judge(case, result, list(MEASURES)).keys() == MEASURES.keys()
    drawdown = judge(case, result, ["max_drawdown"])["max_drawdown"]
    assert drawdown == metrics.max_drawdown > 0


def test_dear_measures_are_computed_when_they_are_asked_for() -> None:
    evaluator = SETUP.open()
    case = evaluator.case({}, WHOLE)
    result = run(case)
    assert "sharpe" not in judge(case, result, ["return", "max_drawdown"])
    assert "max_drawdown" not in judge(case, result, ["return"])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"grid.quote_amount": D(1)}, "grid.quote_amount"),
        ({"grid.quantity": D("0.004")}, "notional below 5"),
        ({"grid.buy_levels": 0, "grid.sell_levels": 0}, "1 or more on at least one side"),
        ({"grid.skew_levels": 3}, "unless max_position says what full means"),
        ({"grid.interval": D("0.25")}, "tick"),
        ({"assume.leverage": 125}, "up to 20"),
    ],
)
def test_what_the_exchange_would_not_take_is_impossible(
    settings: dict[str, Decimal | int], why: str
) -> None:
    setup = BacktestSetup(
        bot=BOT,
        assumed=NO_LATENCY,
        market=MarketRules(instrument=INSTRUMENT, max_leverage=20),
        tape=TAPE,
        wanted=frozenset(),
    )
    outcome = setup.open().judge(settings, WHOLE)
    assert outcome.status is Status.IMPOSSIBLE
    assert why in outcome.why


def test_a_shared_tape_is_the_tape(tmp_path: Path) -> None:
    shared = SharedTape.write(TAPE, tmp_path)
    assert len(pickle.dumps(shared)) < 10_000, "it travels without its columns"
    opened = pickle.loads(pickle.dumps(shared)).open()
    assert opened == TAPE
    with pytest.raises(ValueError, match="read-only"):
        opened.trades.price[0] = 1


def test_processes_on_a_shared_tape_find_what_one_process_finds(tmp_path: Path) -> None:
    plan = Search(
        space=SearchSpace(
            axes=(
                Range(key="grid.interval", low=D("1.5"), step=D("0.1"), count=40),
                Range(key="grid.buy_levels", low=D(0), step=D(1), count=9),
            ),
            same={"grid.sell_levels": "grid.buy_levels"},
        ),
        goals=Goals(
            objectives=(
                Objective(measure="fills", direction=Direction.MAXIMISE),
                Objective(measure="max_drawdown", direction=Direction.MINIMISE),
            ),
            constraints=(Constraint(measure="fills", at_least=D(1)),),
        ),
        kind=SamplerKind.BAYESIAN,
        trials=24,
        batch=8,
        seed=3,
        windows=(Window(number=0, train=WHOLE),),
    )
    found = []
    shared = BacktestSetup(
        bot=BOT,
        assumed=NO_LATENCY,
        market=SETUP.market,
        tape=SharedTape.write(random_tape(12, Walk(trades=300, stride=30)), tmp_path),
        wanted=frozenset(plan.goals.measures),
    )
    for workers in (InProcess(shared), Processes(shared, 2)):
        with Study(None, {}) as study:
            found.append(search(plan, study, workers, lambda _: None))
        workers.close()
    assert found[0] == found[1]
    assert {trial.outcome.status for trial in found[0][0].trials} <= {
        Status.JUDGED,
        Status.IMPOSSIBLE,
    }
    assert len(found[0][0].front) > 1
