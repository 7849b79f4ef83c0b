"""What a grid lives on, and how a run is cut into days: against figures worked out by hand."""

from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest

from opensqt.backtest.case import AccountCase, Case
from opensqt.backtest.figures.accounting import account_for
from opensqt.backtest.figures.economics import (
    GridEconomics,
    break_even_interval,
    economics_of,
    level_result,
)
from opensqt.backtest.figures.metrics import Metrics, metrics_of
from opensqt.backtest.figures.periods import Cut, longest_drawdown_ns, periods_of
from opensqt.backtest.figures.timeline import AccountPath, merged
from opensqt.backtest.report.curves import BotCurve
from opensqt.core.exchange.rules import Fees
from opensqt.core.grid.book import Direction
from opensqt.testing.tapes import random_case
from tests.unit.backtest.small_case import HOUR_NS, MIDNIGHT_NS, ran, small_case


def economics(case: Case) -> GridEconomics:
    result = ran(case)
    return economics_of(case, result, account_for(case, result).bots[0], 0)


def metrics(case: Case) -> Metrics:
    result = ran(case)
    return metrics_of(case, result, account_for(case, result).accounts[0])


def test_a_round_trip_by_hand() -> None:
    told = economics(small_case())
    assert (told.interval, told.dearest) == (D(10), D(1000))
    assert told.break_even_interval == D("0.40008002")  # 2 * 0.0002 * 1000 / 0.9998 = 0.400080016…
    assert told.profit_per_round_trip == D(1)  # one of them, 0.1 bought at 990 and sold at 1000
    assert told.fees_per_round_trip == D("0.0796")  # 0.1 * 0.0002 * (990 + 1000 + 1000 + 990)
    assert told.fee_share == pytest.approx(0.0796)
    assert told.maker_share == 1
    assert told.idle_ns == 8 * HOUR_NS
    assert told.within_a_candle is None


def test_the_best_and_the_worst_level_by_hand() -> None:
    told = economics(small_case())
    assert told.best is not None
    assert told.worst is not None
    # 990: earned 1, paid 0.0002 * 0.1 * (990 + 1000 + 990), holds 0.1 that lost 5.
    assert (told.best.price, level_result(told.best, D(985))) == (D(990), D("0.4404"))
    # 1000: paid 0.02, holds 0.1 that lost 15.
    assert (told.worst.price, level_result(told.worst, D(985))) == (D(1000), D("-1.52"))


@pytest.mark.parametrize(("candle_s", "share"), [(4 * 3600, 0.0), (24 * 3600, 1.0)])
def test_round_trips_within_a_candle_are_counted(candle_s: int, share: float) -> None:
    assert economics(small_case(candle_s=candle_s)).within_a_candle == share


@pytest.mark.parametrize("direction", Direction)
def test_a_round_trip_at_the_break_even_interval_earns_nothing(direction: Direction) -> None:
    price, fee = D(61_800), D("0.0002")
    interval = break_even_interval(price, fee, direction)
    other = price - interval if direction is Direction.SHORT else price + interval
    left = interval - fee * price - fee * other
    assert 0 <= left < D("0.00000002")
    assert break_even_interval(price, D("-0.0001"), direction) < 0  # a rebate


def test_a_grid_that_never_filled_is_measured_by_the_first_price() -> None:
    told = economics(small_case(prices=(1000, 1003, 1001)))
    assert told.dearest == D(1000)
    assert (told.profit_per_round_trip, told.fees_per_round_trip) == (None, None)
    assert (told.fee_share, told.maker_share, told.best, told.worst) == (None, None, None, None)
    assert told.idle_ns == 16 * HOUR_NS


def test_without_fees_any_interval_earns() -> None:
    case = small_case()
    (symbol,) = case.markets
    free = replace(case.markets[symbol], fees=Fees(maker=D(0), taker=D(0)))
    assert economics(replace(case, markets={symbol: free})).break_even_interval == 0


def test_how_long_slots_are_held_by_hand() -> None:
    told = economics(small_case())
    assert told.round_trip_ns == 8 * HOUR_NS  # bought at 8 h, sold at 16 h
    assert told.oldest_ns == 8 * HOUR_NS  # since 24 h, to 32 h
    flat = economics(small_case(prices=(1000, 989, 1001)))
    assert (flat.round_trip_ns, flat.oldest_ns) == (8 * HOUR_NS, None)
    unsold = economics(small_case(prices=(1000, 989, 991, 992)))
    assert (unsold.round_trip_ns, unsold.oldest_ns) == (None, 16 * HOUR_NS)


def test_what_is_closed_by_force_is_no_round_trip_and_no_longer_held() -> None:
    case = random_case(9, trades=120)
    poor = AccountCase(deposit=D(4), leverage={"BTCUSDT": 100})
    case = replace(case, accounts=dict.fromkeys(case.accounts, poor))
    result = ran(case)
    (books,) = account_for(case, result).bots
    assert books.forced_closes
    assert (books.position, economics(case).oldest_ns) == (0, None)


def test_what_the_market_gave_by_hand() -> None:
    told = metrics(small_case())
    assert told.hold_return == pytest.approx(985 / 1000 - 1)
    # 0.1 for 8 h and 0.2 for 8 h of 32 h are 0.075 throughout; the market fell by 15.
    assert told.mean_position_profit == pytest.approx(0.075 * -15)


def test_days_and_drawdowns_by_hand() -> None:
    told = metrics(small_case())
    # The first day: a round trip of 1 for fees of 0.0398. The second: 0.0398 more, and -2 held.
    assert told.best_day == pytest.approx(0.9602)
    assert told.worst_day == pytest.approx(-2.0398)
    assert (told.days_with_profit, told.days_counted) == (1, 2)
    # From the height at 16 h: 0.1 * (1000 + 990 - 2 * 979) = 3.2, and fees of 0.0398.
    assert told.max_drawdown == D("3.2398")
    assert told.profit_over_drawdown == pytest.approx(-1.0796 / 3.2398)
    # Last seen at its height at 7 h and at 23 h, and back at it at 16 h and never.
    assert told.longest_drawdown_days == pytest.approx(9 / 24)


def test_the_largest_leverage_by_hand() -> None:
    case = small_case()
    told = metrics(case)
    # 0.2 at the last price, 985, over what is left: more than at 979, over 997.7204.
    assert told.leverage_max == pytest.approx(0.2 * 985 / 998.9204)
    leverage = case.accounts["main"].leverage_of("BTCUSDT")
    assert told.margin_max == pytest.approx(0.2 * 985 / 998.9204 / leverage)


def test_a_run_is_cut_at_midnight_and_at_the_first_of_a_month() -> None:
    case = small_case(prices=(1000,) * 61)  # twenty days from June 15
    result = ran(case)
    path = AccountPath.of(case, result, "main")
    span = (result.start_ns + HOUR_NS, result.end_ns)
    daily = periods_of(path, *span, final=1000.0, cut=Cut.DAY)
    assert [part.start_ns for part in daily[:2]] == [span[0], MIDNIGHT_NS + 24 * HOUR_NS]
    assert (len(daily), daily[-1].end_ns) == (20, result.end_ns)
    june, july = periods_of(path, *span, final=1010.0, cut=Cut.MONTH)
    assert june.end_ns == july.start_ns == MIDNIGHT_NS + 16 * 24 * HOUR_NS
    assert (june.profit, june.share) == (0, 0)
    assert july.profit == 10
    assert july.share == pytest.approx(0.01)
    assert periods_of(path, span[0], span[0], final=1000.0, cut=Cut.DAY) == ()


def test_what_only_floats_differ_by_is_no_profit() -> None:
    case = small_case(prices=(1000,) * 7)
    result = ran(case)
    path = AccountPath.of(case, result, "main")
    span = (result.start_ns, result.end_ns)
    *_, last = periods_of(path, *span, final=1000.0000000001, cut=Cut.DAY)
    assert (last.profit, last.share) == (0.0, 0.0)
    *_, last = periods_of(path, *span, final=1000.00001, cut=Cut.DAY)
    assert last.profit == pytest.approx(0.00001)


def test_an_equity_that_never_falls_has_no_drawdown() -> None:
    case = small_case(prices=(1000,) * 5)
    result = ran(case)
    path = AccountPath.of(case, result, "main")
    assert longest_drawdown_ns(path, result.start_ns, result.end_ns) == 0
    assert metrics(case).profit_over_drawdown is None


@pytest.mark.parametrize("seed", range(6))
def test_the_parts_over_time_end_at_the_accounts_own(seed: int) -> None:
    case = random_case(seed)
    result = ran(case)
    split = account_for(case, result).bots[0].split
    parts = BotCurve.of(case, result, 0, spans=50).parts
    ends = [parts.closed[-1], parts.inventory[-1], parts.fees[-1], parts.funding[-1]]
    exact = [split.grid + split.forced, split.inventory, -split.fees, split.funding]
    assert np.allclose(ends, [float(part) for part in exact], atol=1e-9)
    assert parts.total[-1] == pytest.approx(float(split.total), abs=1e-9)


def test_times_are_merged_in_order_and_each_once() -> None:
    series = [np.array([3, 5, 5, 9]), np.array([1, 5, 9, 10]), np.zeros(0, dtype=np.int64)]
    assert merged(series).tolist() == [1, 3, 5, 9, 10]
    assert merged([]).tolist() == []
