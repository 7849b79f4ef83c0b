"""The figures that a run is judged by, against plain loops and by hand."""

from dataclasses import replace
from decimal import Decimal as D
from itertools import pairwise
from math import isclose, sqrt

import numpy as np
import pytest

from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.figures.accounting import account_for
from opensqt.backtest.figures.metrics import (
    Metrics,
    metrics_of,
    sampled_returns,
    sharpe_ratio,
    sortino_ratio,
)
from opensqt.backtest.figures.periods import DAY_NS, HOUR_NS
from opensqt.backtest.figures.timeline import AccountPath
from opensqt.backtest.result import Result
from opensqt.backtest.run import run
from opensqt.testing.tapes import random_case, random_cases_together


def of(case: Case) -> tuple[Result, list[Metrics]]:
    result = run(case, mode=Mode.EVERY)
    return result, [metrics_of(case, result, books) for books in account_for(case, result).accounts]


def test_sharpe_and_sortino_by_hand() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.0, 0.01, -0.01, 0.02, 0.01, 0.0, 0.005])
    mean = sum(returns) / 10
    spread = sqrt(sum((r - mean) ** 2 for r in returns) / 9)
    downside = sqrt((0.02**2 + 0.01**2) / 10)
    assert sharpe_ratio(returns, per_year=365) == pytest.approx(mean / spread * sqrt(365))
    assert sortino_ratio(returns, per_year=365) == pytest.approx(mean / downside * sqrt(365))


def test_what_too_little_data_leaves_open_is_not_a_number() -> None:
    few = np.array([0.01] * 9)
    assert sharpe_ratio(few, per_year=365) is None
    assert sortino_ratio(few, per_year=365) is None
    assert sharpe_ratio(np.zeros(20), per_year=365) is None  # no spread
    assert sortino_ratio(np.array([0.01, 0.02] * 10), per_year=365) is None  # no loss
    _, (metrics,) = of(random_case(3, trades=50))
    assert metrics.sharpe is None
    assert metrics.sortino is None


def test_a_bot_that_never_trades_has_no_distance_and_no_leverage() -> None:
    case = random_case(3, trades=50)
    account = AccountCase(deposit=D("0.001"))  # every order is refused
    result, (metrics,) = of(replace(case, accounts=dict.fromkeys(case.accounts, account)))
    assert not len(result.fills)
    assert metrics.liquidation_distance_min is None
    assert metrics.leverage_max is None
    assert (metrics.exposure_max, metrics.time_in_market, metrics.fills) == (0.0, 0.0, 0)
    assert metrics.max_drawdown == 0


def test_long_runs_are_sampled_daily_and_short_ones_hourly() -> None:
    case = random_case(3, trades=50)
    result = run(case, mode=Mode.EVERY)
    path = AccountPath.of(case, result, "main")
    start = result.start_ns
    assert sampled_returns(path, start, start + 14 * DAY_NS)[0] == "daily"
    sampling, returns = sampled_returns(path, start, start + 14 * DAY_NS - 1)
    assert (sampling, len(returns)) == ("hourly", 14 * 24 - 1)
    assert len(sampled_returns(path, start, start + HOUR_NS)[1]) == 1


@pytest.mark.parametrize("seed", range(12))
def test_extremes_and_means_are_those_of_a_plain_loop(seed: int) -> None:
    case = random_cases_together(seed, trades=80) if seed % 3 == 2 else random_case(seed)
    result, all_metrics = of(case)
    for books, metrics in zip(account_for(case, result).accounts, all_metrics, strict=True):
        path = AccountPath.of(case, result, books.name)
        series = [t for bot in path.bots for t in (*bot.time_ns, *bot.mark.time_ns)]
        times = sorted({*map(int, series), result.end_ns})
        state = path.at(np.array(times))
        held = state.exposure > 0
        lasted = np.array([after - before for before, after in pairwise(times)])
        assert metrics.time_in_market == pytest.approx(
            sum(lasted[held[:-1]]) / (result.end_ns - result.start_ns)
        )
        assert metrics.exposure_mean == pytest.approx(
            float(state.exposure[:-1] @ lasted) / (result.end_ns - result.start_ns)
        )
        # Several trades at one time are one state here; between them it may have been worse.
        assert metrics.exposure_max >= state.exposure.max() * (1 - 1e-12)
        if held.any():
            assert metrics.liquidation_distance_min is not None
            assert metrics.liquidation_distance_min <= state.distance.min() + 1e-12
            assert isclose(metrics.exposure_max, state.exposure.max(), rel_tol=0.2)


def test_a_liquidated_account_came_to_its_end() -> None:
    case = random_case(9, trades=120)
    account = AccountCase(deposit=D(4), leverage={"BTCUSDT": 100})
    result, (metrics,) = of(replace(case, accounts=dict.fromkeys(case.accounts, account)))
    assert account_for(replace(case, accounts={"main": account}), result).bots[0].forced_closes
    assert metrics.liquidation_distance_min is not None
    assert metrics.liquidation_distance_min <= 0.05
