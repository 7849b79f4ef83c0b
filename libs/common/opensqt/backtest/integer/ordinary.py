"""What is ordinary: the cases that whole numbers compute, and what ends one that they do not."""

from collections.abc import Iterator
from typing import Final

from opensqt.backtest.case import Case
from opensqt.backtest.integer.records import LOST, TIED, TOO_LARGE
from opensqt.backtest.tape import Tape
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.numbers import is_multiple
from opensqt.engine.bot import Bot

TOO_LARGE_REASON: Final = "amounts beyond 64 bits"
REASONS: Final = {
    LOST: "the account comes near its liquidation",
    TOO_LARGE: TOO_LARGE_REASON,
    TIED: "two orders that leave are equally far from the market",
}
"""What ends a run, by the status that it ends with."""


class NotOrdinary(Exception):  # noqa: N818  # a refusal, not a fault
    """Something happens that the whole-number engine does not compute.

    Args:
        reason: What, for a person.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def unsupported(case: Case) -> tuple[str, ...]:
    """Why whole numbers do not compute a case; empty when they do, as far as can be seen."""
    reasons = list(_of_case(case))
    for bot in case.bots:
        market, tape = case.markets.get(bot.symbol), case.tapes.get(bot.symbol)
        if market is None or tape is None:
            reasons.append(f"{bot.symbol} has no market or no data")
            continue
        reasons += _of_bot(bot)
        reasons += _of_market(bot, market)
        reasons += _of_tape(tape, bot)
    return tuple(dict.fromkeys(reasons))


def _of_case(case: Case) -> Iterator[str]:
    if not case.bots:
        yield "no bot"
    if len(case.bots) > 1:
        yield "several bots"


def _of_bot(bot: Bot) -> Iterator[str]:
    grid, instrument = bot.grid, bot.instrument
    if not is_multiple(grid.interval, instrument.tick_size):
        yield "an interval between two ticks"
    if bot.anchor is not None and not is_multiple(bot.anchor, instrument.tick_size):
        yield "an anchor between two ticks"
    if grid.quantity is not None and not is_multiple(grid.quantity, instrument.step_size):
        yield "a quantity between two steps"
    if grid.max_position is not None and not is_multiple(grid.max_position, instrument.step_size):
        yield "a largest position between two steps"


def _of_market(bot: Bot, market: MarketRules) -> Iterator[str]:
    if market.instrument != bot.instrument:
        yield "a bot that takes the instrument for another one"


def _of_tape(tape: Tape, bot: Bot) -> Iterator[str]:
    if len(tape.quotes):
        yield "best prices in the data"
    if len(tape.marks):
        yield "mark prices in the data"
    if not len(tape.trades):
        yield "no trades in the data"
    elif int(tape.trades.price.min()) <= 1:
        yield "prices of a tick or none"
    if tape.tick != bot.instrument.tick_size:
        yield "data in other ticks than the instrument's"
