"""What every form of a report says: the run, its accounts, its figures, its assumptions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from opensqt.backtest.accounting import Accounting, account_for
from opensqt.backtest.case import Case
from opensqt.backtest.metrics import Metrics, metrics_of
from opensqt.backtest.report.assumptions import Assumption, assumptions_of
from opensqt.backtest.result import Result
from opensqt.backtest.tape import DataNote
from opensqt.runtime.backtest_config import BacktestConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a report says."""

    case: Case
    result: Result
    accounting: Accounting
    metrics: Mapping[str, Metrics]
    """By account."""
    assumptions: tuple[Assumption, ...]
    notes: tuple[tuple[str, DataNote], ...]
    """What is worth knowing of the data: symbol and note."""
    warnings: tuple[str, ...]
    """What is worth knowing of the run."""

    @classmethod
    def of(cls, case: Case, result: Result, assumed: BacktestConfig) -> Self:
        """Work out what a report says.

        Args:
            case: What was run.
            result: What came of it.
            assumed: The assumptions that the case was made with.
        """
        accounting = account_for(case, result)
        return cls(
            case=case,
            result=result,
            accounting=accounting,
            metrics={books.name: metrics_of(case, result, books) for books in accounting.accounts},
            assumptions=assumptions_of(case, assumed),
            notes=tuple(
                (symbol, note) for symbol, tape in case.tapes.items() for note in tape.notes
            ),
            warnings=tuple(_warnings(accounting)),
        )


def _warnings(accounting: Accounting) -> list[str]:
    said = []
    for bot in accounting.bots:
        if bot.halted:
            said.append(f"{bot.bot_id} was halted: {bot.halted}. It opened nothing from then on.")
        if bot.refused:
            said.append(
                f"{bot.bot_id}: the exchange refused {bot.refused} of {bot.orders} orders (margin, "
                "least notional, or a post-only price that the market had reached)."
            )
        if not bot.fills:
            said.append(f"{bot.bot_id} never had a fill.")
        if bot.forced_closes:
            said.append(f"{bot.bot_id} was closed by force {bot.forced_closes} times.")
    return said
