"""What a search came to, for programs: JSON of its findings, Parquet of all its trials."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from opensqt.backtest.search.best import text_of
from opensqt.backtest.search.goals import Goals, Measures
from opensqt.backtest.search.measures import MEASURES
from opensqt.backtest.search.searching import Search, WindowFinding
from opensqt.backtest.search.trials import Outcome, Trial, tally
from opensqt.backtest.search.walk import Span


def as_json(
    plan: Search, findings: tuple[WindowFinding, ...], about: Mapping[str, str]
) -> dict[str, Any]:
    """Findings as JSON has them; exact numbers are text."""
    return {
        "about": dict(about),
        "objectives": {goal.measure: str(goal.direction) for goal in plan.goals.objectives},
        "constraints": [str(part) for part in plan.goals.constraints],
        "trials": plan.trials,
        "windows": [
            {
                "train": _span(finding.window.train),
                "test": _span(finding.window.test),
                "counts": tally(finding.trials, plan.goals),
                "chosen": _trial(plan, finding.chosen),
                "chosen_in_test": _outcome(finding.test),
                "unchanged_in_train": _outcome(finding.unchanged.train),
                "unchanged_in_test": _outcome(finding.unchanged.test),
                "front": [_trial(plan, trial) for trial in finding.front],
            }
            for finding in findings
        ],
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON for people's eyes, too."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_parquet(path: Path, plan: Search, findings: tuple[WindowFinding, ...]) -> None:
    """Write every trial: exact measures and settings as text, what is better as numbers, too."""
    rows = [_row(plan, finding, trial) for finding in findings for trial in finding.trials]
    keys = [axis.key for axis in plan.space.axes] + list(plan.space.same)
    text, flag, whole, real = pa.string(), pa.bool_(), pa.int64(), pa.float64()
    schema = pa.schema(
        [
            ("window", whole),
            ("number", whole),
            ("status", text),
            ("why_not", text),
            ("feasible", flag),
            ("on_front", flag),
            ("chosen", flag),
            *((key, text) for key in keys),
            *((name, text) for name in MEASURES),
            *((f"objective.{goal.measure}", real) for goal in plan.goals.objectives),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def _row(plan: Search, finding: WindowFinding, trial: Trial) -> dict[str, Any]:
    goals: Goals = plan.goals
    measures: Measures = trial.outcome.measures
    front = {one.number for one in finding.front}
    objectives = {goal.measure: measures.get(goal.measure) for goal in goals.objectives}
    return {
        "window": finding.window.number,
        "number": trial.number,
        "status": str(trial.outcome.status),
        "why_not": trial.shortfall(goals),
        "feasible": trial.feasible(goals),
        "on_front": trial.number in front,
        "chosen": finding.chosen is not None and trial.number == finding.chosen.number,
        **{key: text_of(value) for key, value in plan.space.settings(trial.point).items()},
        **{name: _exact(value) for name, value in measures.items()},
        **{
            f"objective.{name}": None if value is None else float(value)
            for name, value in objectives.items()
        },
    }


def _trial(plan: Search, trial: Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    settings = plan.space.settings(trial.point)
    return {
        "number": trial.number,
        "settings": {key: text_of(value) for key, value in settings.items()},
        "measures": _measures(trial.outcome),
    }


def _outcome(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "status": str(outcome.status),
        "why": outcome.why,
        "measures": _measures(outcome),
    }


def _measures(outcome: Outcome) -> dict[str, str | None]:
    return {name: _exact(value) for name, value in outcome.measures.items()}


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _span(span: Span | None) -> dict[str, int] | None:
    return None if span is None else {"start_ns": span.start_ns, "end_ns": span.end_ns}
