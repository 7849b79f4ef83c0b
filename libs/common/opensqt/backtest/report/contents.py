"""What every form of a report says: the run, its accounts, its figures, its assumptions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from opensqt.backtest.case import Case
from opensqt.backtest.figures.accounting import Accounting, account_for
from opensqt.backtest.figures.economics import GridEconomics, economics_of
from opensqt.backtest.figures.metrics import Metrics, metrics_of
from opensqt.backtest.report.assumptions import Assumption, assumptions_of
from opensqt.backtest.report.cautions import cautions_of
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
    economics: Mapping[str, GridEconomics]
    """By bot."""
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
        metrics = {books.name: metrics_of(case, result, books) for books in accounting.accounts}
        index = {run.identity.bot_id: number for number, run in enumerate(result.bots)}
        economics = {
            bot.bot_id: economics_of(case, result, bot, index[bot.bot_id])
            for bot in accounting.bots
        }
        return cls(
            case=case,
            result=result,
            accounting=accounting,
            metrics=metrics,
            economics=economics,
            assumptions=assumptions_of(case, assumed),
            notes=tuple(
                (symbol, note) for symbol, tape in case.tapes.items() for note in tape.notes
            ),
            warnings=cautions_of(case, result, accounting, economics, metrics),
        )
