"""Evaluations/s of the parameter search: what sampling, study and workers cost beside backtests.

The floor is the same backtests in one process, one after the other, with nothing around them: no
sampler, no study, no measures. Every search judges a million random ticks under the same settings.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report
from opensqt.backtest.run import run as run_case
from opensqt.backtest.search.cluster import LOCAL, ClusterWorkers
from opensqt.backtest.search.evaluation import BacktestSetup
from opensqt.backtest.search.goals import Direction, Goals, Objective
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.samplers import make_sampler
from opensqt.backtest.search.searching import Search, search
from opensqt.backtest.search.shared_tape import SharedTape
from opensqt.backtest.search.space import Range, SearchSpace
from opensqt.backtest.search.study import Study
from opensqt.backtest.search.walk import Window, history_of
from opensqt.backtest.search.workers import InProcess, Processes, Task, Workers
from opensqt.core.exchange.rules import MarketRules
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.testing.tapes import INSTRUMENT, Walk, random_tape

TICKS = 1_000_000
TRIALS = 64
TURNS = 3
WORKERS = 2

SPACE = SearchSpace(
    axes=(
        Range(key="grid.interval", low=Decimal(10), step=Decimal("0.5"), count=81),
        Range(key="grid.buy_levels", low=Decimal(2), step=Decimal(1), count=19),
        Range(key="grid.max_position", low=Decimal("0.05"), step=Decimal("0.05"), count=20),
    ),
    same={"grid.sell_levels": "grid.buy_levels"},
)
GOALS = Goals(
    objectives=(
        Objective(measure="return", direction=Direction.MAXIMISE),
        Objective(measure="max_drawdown", direction=Direction.MINIMISE),
    )
)


async def run(options: argparse.Namespace) -> dict[str, Any]:
    del options
    return await asyncio.to_thread(_measure)


def _measure() -> dict[str, Any]:
    walk = Walk(trades=TICKS, start=1_000_000, stride=12, pause_ms=2_000)
    tape = random_tape(1, walk)
    span = history_of([tape])
    with tempfile.TemporaryDirectory() as directory:
        shared = SharedTape.write(tape, Path(directory))
        setup = BacktestSetup(
            bot=_bot(),
            assumed=BacktestConfig.model_validate(
                {"deposit": 10_000_000, "latency": {"market": "0", "order": "0", "report": "0"}}
            ),
            market=MarketRules(instrument=INSTRUMENT),
            tape=shared,
            wanted=frozenset(GOALS.measures),
        )
        plans = {
            kind: Search(
                space=SPACE,
                goals=GOALS,
                kind=kind,
                trials=TRIALS,
                batch=16,
                seed=1,
                windows=(Window(number=0, train=span),),
            )
            for kind in (SamplerKind.RANDOM, SamplerKind.BAYESIAN)
        }
        # The points of the random search; the Bayesian one soon tries others, with fewer fills.
        sampler = make_sampler(SamplerKind.RANDOM, SPACE, GOALS, size=16, seed="1/0")
        points = [point for batch in range(TRIALS // 16) for point in sampler.ask(batch)]
        evaluator = setup.open()
        cases = [evaluator.case(SPACE.settings(point), span) for point in points]
        floor: list[float] = []
        rates: dict[str, list[float]] = {}
        stacks: dict[str, tuple[SamplerKind, Callable[[], Workers]]] = {
            "random, 1 process": (SamplerKind.RANDOM, lambda: InProcess(setup)),
            f"random, {WORKERS} processes": (
                SamplerKind.RANDOM,
                lambda: Processes(setup, WORKERS),
            ),
            f"random, Dask, {WORKERS} workers": (
                SamplerKind.RANDOM,
                lambda: ClusterWorkers(replace(setup, tape=tape), LOCAL, local_workers=WORKERS),
            ),
            "bayesian, 1 process": (SamplerKind.BAYESIAN, lambda: InProcess(setup)),
            f"bayesian, {WORKERS} processes": (
                SamplerKind.BAYESIAN,
                lambda: Processes(setup, WORKERS),
            ),
        }
        for name, (kind, make) in stacks.items():
            # One at a time: the others take their share even when they wait, Dask above all.
            workers = make()
            try:  # imports, and the market in every worker
                list(workers.judge([Task(number=n, settings={}, span=span) for n in range(4)]))
                for _ in range(TURNS):
                    began = time.perf_counter()
                    for case in cases:
                        run_case(case)
                    floor.append(len(cases) / (time.perf_counter() - began))
                    rates.setdefault(name, []).append(_rate(plans[kind], workers))
            finally:
                workers.close()
    return _told(median(floor), {name: median(found) for name, found in rates.items()})


def _rate(plan: Search, workers: Workers) -> float:
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as directory,
        Study(Path(directory) / "a.study", {}) as study,
    ):
        (finding,) = search(plan, study, workers, lambda _: None)
    taken_s = time.perf_counter() - began
    assert len(finding.front) > 0
    return plan.total / taken_s


def _bot() -> BotConfig:
    return BotConfig.model_validate(
        {
            "bot_id": "bench",
            "symbol": INSTRUMENT.symbol,
            "grid": {
                "direction": "LONG",
                "interval": 20,
                "buy_levels": 10,
                "sell_levels": 10,
                "quantity": "0.01",
            },
        }
    )


def _told(floor: float, rates: dict[str, float]) -> dict[str, Any]:
    header = ("a million ticks each", "ratio", "evaluations/s")
    rows = [("the backtests alone (floor)", "1.00x", report.number(floor, 1))]
    rows += [
        (name, report.times(report.ratio(rate, floor)), report.number(rate, 1))
        for name, rate in rates.items()
    ]
    print(report.table("parameter search", header, rows))
    return {"floor_per_s": floor, "per_s": rates, "ticks": TICKS, "trials": TRIALS}
