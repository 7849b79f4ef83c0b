"""What a person sees of a search: what begins, how far it is, what it came to."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from opensqt.cli.output import Output

if TYPE_CHECKING:
    from opensqt.backtest.search import searching
    from opensqt.backtest.tape import Tape

REASONS: Final = 5
LINES_EVERY_S: Final = 10.0
"""Without a terminal, how often a line says how far it is."""


class SearchView:
    """Tells a person about a search.

    Args:
        output: Where results are printed; progress goes to stderr.
        plan: The search.
    """

    def __init__(self, output: Output, plan: "searching.Search") -> None:
        self._output, self._plan = output, plan
        self._console = Console(stderr=True, highlight=False)

    def begin(self, tape: "Tape", study: Path) -> None:
        """Say what is searched."""
        plan = self._plan
        goals = ", ".join(f"{goal.direction} {goal.measure}" for goal in plan.goals.objectives)
        bounds = "; ".join(map(str, plan.goals.constraints))
        self._output.line(
            f"{plan.trials:,} trials of {plan.space.size:,} points, by {plan.kind} search: {goals}"
            + (f", with {bounds}" if bounds else "")
        )
        self._output.line(
            f"on {tape.source or tape.symbol}, {len(tape.trades):,} trades, "
            f"{len(plan.windows)} windows; kept in {study}"
            if len(plan.windows) > 1
            else f"on {tape.source or tape.symbol}, {len(tape.trades):,} trades; kept in {study}"
        )
        for note in tape.notes:
            self._output.note(f"data: {note.count} x {note.kind}: {note.text}")

    @contextmanager
    def watching(self) -> Iterator["Callable[[searching.Progress], None]"]:
        """Show how far the search is: a bar, or a line now and then where there is no terminal."""
        if not self._console.is_terminal:
            yield self._lines()
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("searching", total=self._plan.total, best="")
            yield lambda progress: self._show(bar, task, progress)

    def end(self, findings: "tuple[searching.WindowFinding, ...]", show: int) -> None:
        """Print what it came to."""
        from opensqt.backtest.search import telling
        from opensqt.backtest.search.trials import tally

        plan, last = self._plan, findings[-1]
        counts: dict[str, int] = {}
        for finding in findings:
            for kind, count in tally(finding.trials, plan.goals).items():
                counts[kind] = counts.get(kind, 0) + count
        self._output.line(", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count))
        for reason in telling.reasons(findings, REASONS):
            self._output.line(f"  {reason}")
        if len(findings) > 1:
            self._output.line("\nChosen on one stretch, judged on the next:")
            self._output.table(*telling.walk_rows(plan, findings))
            self._output.line(f"\nFor what comes next, chosen on {last.window.train}:")
        else:
            self._output.line(
                "\nChosen and judged on the same history; walk_forward would tell them apart:"
            )
        if show and last.chosen:
            self._output.table(*telling.best_rows(plan, telling.ranked(plan, last), show))
        if last.chosen:
            self._output.line(
                f"\nchosen: trial {last.chosen.number}, {telling.settings_text(plan, last.chosen)}"
            )
        self._output.table(*telling.chosen_rows(plan, last))
        for text in telling.at_edges(plan, last.chosen) if last.chosen else ():
            self._output.line(f"warning: {text}")

    def _show(self, bar: Progress, task: TaskID, progress: "searching.Progress") -> None:
        bar.update(
            task,
            completed=progress.done,
            description=self._window(progress),
            best=self._best(progress),
        )

    def _lines(self) -> "Callable[[searching.Progress], None]":
        said = time.monotonic()

        def tell(progress: "searching.Progress") -> None:
            nonlocal said
            if time.monotonic() - said >= LINES_EVERY_S:
                said = time.monotonic()
                print(
                    f"{self._window(progress)}: {progress.done:,} of {progress.total:,}, "
                    f"{self._best(progress)}",
                    file=sys.stderr,
                )

        return tell

    def _window(self, progress: "searching.Progress") -> str:
        windows = len(self._plan.windows)
        return f"window {progress.window.number + 1}/{windows}" if windows > 1 else "searching"

    def _best(self, progress: "searching.Progress") -> str:
        from opensqt.backtest.search.telling import shown

        if progress.best is None:
            return "nothing feasible yet"
        name = self._plan.goals.objectives[0].measure
        return f"best {name} {shown(name, progress.best.outcome.measures[name])}"
