"""What a search came to, for people: rows of tables."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from opensqt.backtest.search.best import text_of
from opensqt.backtest.search.measures import MEASURES
from opensqt.backtest.search.searching import Search, WindowFinding
from opensqt.backtest.search.space import Range, Value
from opensqt.backtest.search.trials import Outcome, Trial
from opensqt.core.numbers import round_to

Row = tuple[str, ...]
DASH = "-"


def best_rows(plan: Search, trials: Sequence[Trial], limit: int) -> tuple[Row, list[Row]]:
    """Heading and rows of the first of some trials: settings, then measures."""
    keys = [axis.key for axis in plan.space.axes]
    heading = ("trial ", *(f"{key} " for key in keys), *(f"{m} " for m in plan.goals.measures))
    rows = []
    for trial in trials[:limit]:
        settings = plan.space.settings(trial.point)
        measures = measures_of(plan, trial.outcome)
        rows.append((str(trial.number), *(text_of(settings[key]) for key in keys), *measures))
    return heading, rows


def ranked(plan: Search, finding: WindowFinding) -> tuple[Trial, ...]:
    """The feasible trials, each point once: with one objective best first, else the front's."""
    if len(plan.goals.objectives) > 1:
        return finding.front
    (goal,) = plan.goals.objectives
    points = {
        trial.point: trial for trial in reversed(finding.trials) if trial.feasible(plan.goals)
    }
    return tuple(
        sorted(
            points.values(),
            key=lambda trial: (
                goal.sign * plan.goals.values(trial.outcome.measures)[0],
                trial.number,
            ),
        )
    )


def walk_rows(plan: Search, findings: Sequence[WindowFinding]) -> tuple[Row, list[Row]]:
    """Heading and rows of the windows: chosen on one stretch, judged on the next."""
    measure = plan.goals.objectives[0].measure
    heading = (
        "test window",
        "chosen",
        f"{measure} in training ",
        "in test ",
        "difference ",
        "unchanged bot in test ",
    )
    rows: list[Row] = []
    for finding in findings:
        if finding.window.test is None:
            continue
        train = finding.chosen.outcome if finding.chosen else None
        rows.append(
            (
                str(finding.window.test),
                settings_text(plan, finding.chosen),
                _of(train, measure),
                _of(finding.test, measure),
                shown(measure, degradation(train, finding.test, measure)),
                _of(finding.unchanged.test, measure),
            )
        )
    return heading, rows


def degradation(train: Outcome | None, test: Outcome | None, measure: str) -> Decimal | None:
    """How much more a measure was in the test than in training; None: one of them is not told."""
    before = train.measures.get(measure) if train else None
    after = test.measures.get(measure) if test else None
    return None if before is None or after is None else after - before


def settings_text(plan: Search, trial: Trial | None) -> str:
    """A trial's settings in one line."""
    if trial is None:
        return "none is feasible"
    settings = plan.space.settings(trial.point)
    return ", ".join(f"{_short(key)} {text_of(value)}" for key, value in settings.items())


def reasons(findings: Sequence[WindowFinding], limit: int) -> Iterator[str]:
    """Why trials were not judged, the most frequent first; those alike but for numbers together."""
    alike: dict[str, list[str]] = {}
    for finding in findings:
        for trial in finding.trials:
            if trial.outcome.why:
                text = f"{trial.outcome.status}: {trial.outcome.why}"
                alike.setdefault(re.sub(r"\d+(\.\d+)?", "#", text), []).append(text)
    ordered = sorted(alike.values(), key=len, reverse=True)
    for texts in ordered[:limit]:
        such = ", such as" if len(set(texts)) > 1 else ""
        yield f"{len(texts):,}{such}: {texts[0]}"
    if len(ordered) > limit:
        yield f"and {len(ordered) - limit} more reasons"


def measures_of(plan: Search, outcome: Outcome) -> list[str]:
    """The measures that are asked for, as text."""
    return [_of(outcome, name) for name in plan.goals.measures]


def number(value: Decimal | None) -> str:
    """A measure as people read it, to four significant digits or whole."""
    if value is None:
        return DASH
    places = max(0, 3 - value.adjusted()) if value else 0
    text = f"{round_to(value, Decimal(1).scaleb(-places)):,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def shown(measure: str, value: Decimal | None) -> str:
    """A measure by its name: shares in percent."""
    known = MEASURES.get(measure)
    if value is not None and known is not None and known.share:
        return f"{number(value * 100)} %"
    return number(value)


def chosen_rows(plan: Search, finding: WindowFinding) -> tuple[Row, list[Row]]:
    """Heading and rows of what was chosen beside the bot as it is: its measures in training."""
    chosen = finding.chosen.outcome if finding.chosen else None
    rows: list[Row] = [
        (name, _of(chosen, name), _of(finding.unchanged.train, name))
        for name in plan.goals.measures
    ]
    return ("measure", "chosen ", "as configured "), rows


def at_edges(plan: Search, trial: Trial) -> Iterator[str]:
    """The chosen settings that lie at an end of what was searched, in words."""
    settings = plan.space.settings(trial.point)
    for axis in plan.space.axes:
        value = settings[axis.key]
        if isinstance(axis, Range):
            ends: tuple[Value, ...] = (axis.value(0), axis.value(axis.count - 1))
        else:
            ends = axis.values
        numbers = [end for end in ends if isinstance(end, int | Decimal)]
        if isinstance(value, bool) or len(set(numbers)) < 2 or len(numbers) < len(ends):
            continue
        for end, which in ((min(numbers), "smallest"), (max(numbers), "largest")):
            if value == end:
                yield (
                    f"{axis.key} {text_of(value)} is the {which} that was searched: what lies "
                    "beyond it may do better, so widen the range"
                )


def _of(outcome: Outcome | None, measure: str) -> str:
    return shown(measure, outcome.measures.get(measure)) if outcome else DASH


def _short(key: str) -> str:
    return key.rpartition(".")[2]
