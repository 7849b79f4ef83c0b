"""What a trader should know of a run before believing its result, in words."""

from collections.abc import Iterator, Mapping
from typing import Final

from opensqt.backtest.case import Case
from opensqt.backtest.figures.accounting import Accounting, BotAccounts
from opensqt.backtest.figures.economics import GridEconomics
from opensqt.backtest.figures.metrics import Metrics
from opensqt.backtest.figures.periods import DAY_NS, HOUR_NS
from opensqt.backtest.report.texts import days, money, percent, quantity
from opensqt.backtest.result import Result

IDLE_SHARE: Final = 0.25
IDLE_LEAST_NS: Final = 12 * HOUR_NS
"""A grid that holds something and fills nothing for this last part of the run, and at least for
this long, stands still."""
WITHIN_SHARE: Final = 0.05
"""From this share of closing fills on, the way within candles matters."""
NEAR_LIQUIDATION: Final = 0.10
"""A liquidation this near, as a share of the mark, is worth a word."""


def cautions_of(
    case: Case,
    result: Result,
    accounting: Accounting,
    economics: Mapping[str, GridEconomics],
    metrics: Mapping[str, Metrics],
) -> tuple[str, ...]:
    """What to be careful about.

    Args:
        case: What was run.
        result: What came of it.
        accounting: What was earned.
        economics: By bot.
        metrics: By account.
    """
    said: list[str] = []
    for bot in accounting.bots:
        said += _of_events(bot)
        said += _of_grid(case, result, bot, economics[bot.bot_id])
    for name, figures in metrics.items():
        distance = figures.liquidation_distance_min
        near = distance is not None and distance < NEAR_LIQUIDATION
        if near and not figures.liquidated:
            said.append(
                f"Account {name} came near its liquidation: a move of {percent(distance, 1)} "
                "against a position would have been enough."
            )
    return tuple(said)


def _of_events(bot: BotAccounts) -> Iterator[str]:
    if bot.halted:
        yield f"{bot.bot_id} was halted: {bot.halted}. It opened nothing from then on."
    if bot.refused:
        yield (
            f"{bot.bot_id}: the exchange refused {bot.refused:,} of {bot.orders:,} orders (margin, "
            "least notional, or a post-only price that the market had reached)."
        )
    if not bot.fills:
        yield f"{bot.bot_id} never had a fill."
    if bot.forced_closes:
        times = "once" if bot.forced_closes == 1 else f"{bot.forced_closes:,} times"
        yield f"{bot.bot_id} was closed by force {times}."


def _of_grid(
    case: Case, result: Result, bot: BotAccounts, economics: GridEconomics
) -> Iterator[str]:
    least = economics.break_even_interval
    if economics.interval <= least:
        yield (
            f"{bot.bot_id}: the interval of {quantity(economics.interval)} {bot.quote} is not more "
            f"than the maker fees of a round trip at {quantity(economics.dearest)}, {money(least)} "
            f"{bot.quote}: each round trip there loses, however often it trades."
        )
    elif economics.fee_share is not None and economics.fee_share >= 1:
        yield (
            f"{bot.bot_id} paid {money(bot.split.fees)} {bot.quote} of fees for a grid profit of "
            f"{money(bot.split.grid)}; those of what is still held are among them."
        )
    within = economics.within_a_candle
    if within is not None and within >= WITHIN_SHARE:
        candle_s = case.tapes[bot.symbol].candle_s
        yield (
            f"{bot.bot_id}: {percent(within, 0)} of the closing fills are in the very candle of "
            f"{candle_s} s in which their slot had opened. The way within a candle is assumed; try "
            "candles: worst, smaller candles, or trades."
        )
    span_ns = result.end_ns - result.start_ns
    if bot.fills and bot.position and economics.idle_ns > max(IDLE_SHARE * span_ns, IDLE_LEAST_NS):
        yield (
            f"{bot.bot_id} stood still at the end: no fill in the last "
            f"{days(economics.idle_ns / DAY_NS)}, holding {quantity(bot.position)} {bot.base} "
            f"with the mark at {quantity(bot.mark) if bot.mark is not None else 'no price'}."
        )
