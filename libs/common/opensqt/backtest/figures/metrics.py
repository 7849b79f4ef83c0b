"""Figures that a trader judges a run by, of one account.

Money is exact; ratios are floats, being statistics. What too little data leaves undefined is None,
never zero or infinite.

Equity is sampled for the Sharpe and Sortino ratios: every day of a run of two weeks or more, else
every hour, from its start; the last part that is not whole is left out. Both are of returns over
the riskless rate of zero, annualised with 365 days, since these markets never close:

- Sharpe ratio: mean of the returns divided by their sample standard deviation (W. F. Sharpe, "The
  Sharpe Ratio", Journal of Portfolio Management 21(1), 1994).
- Sortino ratio: mean of the returns divided by the root of the mean square of the negative ones,
  over all of them (F. A. Sortino, L. N. Price, "Performance Measurement in a Downside Risk
  Framework", Journal of Investing 3(3), 1994), with a target of zero.

Two yardsticks say how much of a result the market gave, and not the grid. Both go from the mark at
the start to the mark at the end, `p0` and `p1`, without fees, funding and leverage:

- buy and hold: ``p1 / p0 - 1``, the return of a deposit that bought at the start; with several
  symbols, the mean of theirs, as if each had got an equal part.
- mean position held: the time-weighted mean of the signed position, times ``p1 - p0``.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from opensqt.backtest.case import Case
from opensqt.backtest.columns import Ints
from opensqt.backtest.figures.accounting import AccountBooks
from opensqt.backtest.figures.equity import drawdown_of
from opensqt.backtest.figures.extremes import extremes_of
from opensqt.backtest.figures.periods import DAY_NS, HOUR_NS, Cut, longest_drawdown_ns, periods_of
from opensqt.backtest.figures.timeline import AccountPath, BotPath, Floats, merged
from opensqt.backtest.result import Result
from opensqt.core.numbers import EXACT

YEAR_NS: Final = 365 * DAY_NS

DAILY_FROM_NS: Final = 14 * DAY_NS
"""Runs of at least this length are sampled daily, shorter ones hourly."""
LEAST_RETURNS: Final = 10
"""Fewer returns say nothing about their spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures of one account over a run."""

    days: float
    profit: Decimal
    """In quote."""
    return_share: float
    """Profit over the deposit."""
    max_drawdown: Decimal
    """Largest fall of the equity below an earlier one, at every trade, in quote."""
    max_drawdown_share: float
    """Largest fall as a share of the equity that it fell from; it may be another one."""
    profit_over_drawdown: float | None
    """Profit over the largest drawdown, both in quote; None if nothing was ever lost."""
    longest_drawdown_days: float
    """The longest time from a height of the equity to the next as high, or to the end, by the
    hour."""
    hold_return: float | None
    """Of a deposit that bought at the first mark and held to the last; None without a market."""
    mean_position_profit: float | None
    """Of the mean position held from the first mark to the last, in quote."""
    days_with_profit: int
    days_counted: int
    """Days of UTC; the first and the last in part."""
    best_day: float | None
    """Largest change of the equity in a day of UTC, in quote."""
    worst_day: float | None
    """Least change of the equity in a day of UTC, in quote."""
    sampling: str
    """How the equity was sampled for the next two: ``daily`` or ``hourly``."""
    sharpe: float | None
    sortino: float | None
    """None, too, when no return was negative."""
    fills: int
    fills_per_day: float | None
    round_trips: int
    turnover: Decimal
    """Price times quantity of all fills, in quote."""
    turnover_per_day: float | None
    """As a multiple of the deposit."""
    time_in_market: float | None
    """Share of the time in which something was held."""
    exposure_mean: float | None
    """Notional of all positions at mark, over time, in quote."""
    exposure_max: float
    """In quote."""
    leverage_max: float | None
    """Largest notional over the equity at that time."""
    margin_max: float | None
    """Largest initial margin of the positions over the equity at that time; open orders are not
    counted."""
    liquidated: bool
    """Whether the exchange closed something by force."""
    liquidation_distance_min: float | None
    """How far a mark could still have moved against its position before liquidation, as a share of
    the mark: the least over the run. None: nothing was held. 1 or more: a long that no fall would
    have ended. At or below 0: it was liquidated."""


def metrics_of(case: Case, result: Result, books: AccountBooks) -> Metrics:
    """The figures of an account.

    Args:
        case: What was run.
        result: What came of it.
        books: The account, as `accounting.account_for` has it.
    """
    path = AccountPath.of(case, result, books.name)
    span_ns = result.end_ns - result.start_ns
    days = span_ns / DAY_NS
    fills = sum(bot.fills for bot in books.bots)
    turnover = sum((bot.turnover for bot in books.bots), Decimal(0))
    fallen, fallen_share = largest_fall(case, result, books)
    sampling, returns = sampled_returns(path, result.start_ns, result.end_ns)
    per_year = YEAR_NS / (DAY_NS if sampling == "daily" else HOUR_NS)
    highest = extremes_of(path, result.start_ns, result.end_ns)
    deposit = float(books.initial)
    profit = EXACT.subtract(books.final, books.initial)
    ends = (result.start_ns, result.end_ns)
    daily = [day.profit for day in periods_of(path, *ends, final=float(books.final), cut=Cut.DAY)]
    return Metrics(
        days=days,
        profit=profit,
        return_share=float(EXACT.divide(books.split.total, books.initial)),
        max_drawdown=fallen,
        max_drawdown_share=fallen_share,
        profit_over_drawdown=float(EXACT.divide(profit, fallen)) if fallen else None,
        longest_drawdown_days=longest_drawdown_ns(path, *ends) / DAY_NS,
        hold_return=hold_return(path, *ends),
        mean_position_profit=_mean_position_profit(path, *ends),
        days_with_profit=sum(change > 0 for change in daily),
        days_counted=len(daily),
        best_day=max(daily, default=None),
        worst_day=min(daily, default=None),
        sampling=sampling,
        sharpe=sharpe_ratio(returns, per_year=per_year),
        sortino=sortino_ratio(returns, per_year=per_year),
        fills=fills,
        fills_per_day=fills / days if days else None,
        round_trips=sum(bot.round_trips for bot in books.bots),
        turnover=turnover,
        turnover_per_day=float(turnover) / deposit / days if days else None,
        time_in_market=_time_in_market(path, result.start_ns, result.end_ns),
        exposure_mean=_mean_exposure(path, result.end_ns) / span_ns if span_ns else None,
        exposure_max=highest.exposure,
        leverage_max=highest.leverage,
        margin_max=highest.margin,
        liquidated=any(bot.forced_closes for bot in books.bots),
        liquidation_distance_min=highest.distance,
    )


def largest_fall(case: Case, result: Result, books: AccountBooks) -> tuple[Decimal, float]:
    """The largest drawdown, in quote, and the largest as a share of the peak before it.

    They are much cheaper than the other figures.
    """
    fallen = drawdown_of(case, result, books.name)
    # What happens after the last price is in the final equity alone.
    last_fall = EXACT.subtract(fallen.highest, books.final)
    last_share = float(EXACT.divide(last_fall, fallen.highest))
    return max(fallen.max_drawdown, last_fall), max(fallen.max_drawdown_share, last_share)


def sampled_returns(path: AccountPath, start_ns: int, end_ns: int) -> tuple[str, Floats]:
    """The returns from sample to sample, and how it was sampled; none if equity was used up."""
    sampling, period_ns = "hourly", HOUR_NS
    if end_ns - start_ns >= DAILY_FROM_NS:
        sampling, period_ns = "daily", DAY_NS
    times = np.arange(start_ns, end_ns + 1, period_ns, dtype=np.int64)
    equity = path.at(times).equity
    if len(equity) < 2 or bool((equity <= 0).any()):
        return sampling, np.zeros(0)
    returns: Floats = equity[1:] / equity[:-1] - 1
    return sampling, returns


def sharpe_ratio(returns: Floats, *, per_year: float) -> float | None:
    """Annualised Sharpe ratio; None for fewer than `LEAST_RETURNS`, or without any spread."""
    if len(returns) < LEAST_RETURNS:
        return None
    spread = float(np.std(returns, ddof=1))
    return float(np.mean(returns)) / spread * per_year**0.5 if spread else None


def sortino_ratio(returns: Floats, *, per_year: float) -> float | None:
    """Annualised Sortino ratio; None for fewer than `LEAST_RETURNS`, or without any loss."""
    if len(returns) < LEAST_RETURNS:
        return None
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0) ** 2)))
    return float(np.mean(returns)) / downside * per_year**0.5 if downside else None


def _time_in_market(path: AccountPath, start_ns: int, end_ns: int) -> float | None:
    if end_ns == start_ns:
        return None
    begin = np.array([start_ns], dtype=np.int64)
    times = merged([begin, *(bot.time_ns for bot in path.bots)])
    held = np.zeros(len(times), dtype=bool)
    for bot in path.bots:
        held |= bot.position[bot.index_at(times)] != 0
    lasted = np.diff(np.append(times, max(end_ns, int(times[-1]))))
    return float(lasted[held].sum() / (end_ns - start_ns))


def _mean_exposure(path: AccountPath, end_ns: int) -> float:
    """The integral of the notional over time, in quote nanoseconds."""
    total = 0.0
    for bot in path.bots:
        if len(bot.mark.price) and bool(bot.position.any()):
            ends = np.append(bot.time_ns[1:], max(end_ns, int(bot.time_ns[-1])))
            gone = _price_time(bot, ends) - _price_time(bot, bot.time_ns)
            total += float(np.abs(bot.position) @ gone)
    return total


def hold_return(path: AccountPath, start_ns: int, end_ns: int) -> float | None:
    """The return of buying at the first mark and holding to the last; None without a market."""
    told = [_first_and_last(bot, start_ns, end_ns) for bot in path.bots if len(bot.mark.price)]
    return sum(last / first - 1 for first, last in told) / len(told) if told else None


def _mean_position_profit(path: AccountPath, start_ns: int, end_ns: int) -> float | None:
    if end_ns == start_ns:
        return None
    total = 0.0
    for bot in path.bots:
        if len(bot.mark.price):
            first, last = _first_and_last(bot, start_ns, end_ns)
            lasted = np.diff(np.append(bot.time_ns, max(end_ns, int(bot.time_ns[-1]))))
            total += float(bot.position @ lasted) / (end_ns - start_ns) * (last - first)
    return total


def _first_and_last(bot: BotPath, start_ns: int, end_ns: int) -> tuple[float, float]:
    first, last = bot.mark.at(np.array([start_ns, end_ns], dtype=np.int64)).tolist()
    return first, last


def _price_time(bot: BotPath, times: Ints) -> Floats:
    """The integral of the mark price over time, up to each time."""
    mark_ns, price = bot.mark.time_ns, bot.mark.price
    summed = np.concatenate([[0.0], np.cumsum(price[:-1] * np.diff(mark_ns))])
    index = np.maximum(np.searchsorted(mark_ns, times, side="right") - 1, 0)
    since: Floats = summed[index] + price[index] * (times - mark_ns[index])
    return since
