"""The plots of a search. Blue is what was chosen or can be, grey what was not."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import plotly.graph_objects as go

from opensqt.backtest.report.plots import BLUE, ORANGE
from opensqt.backtest.search.best import text_of
from opensqt.backtest.search.measures import MEASURES
from opensqt.backtest.search.searching import Search, WindowFinding
from opensqt.backtest.search.space import Range
from opensqt.backtest.search.telling import settings_text, shown
from opensqt.backtest.search.trials import Outcome, Status, Trial

POINTS_MAX = 2_000
"""Trials that a plot shows; of more, evenly spread ones."""
PALE_GREY = "#a3b1c6"


def walk(plan: Search, findings: Sequence[WindowFinding]) -> go.Figure:
    """The first objective of each window: in training, in the test, and of the unchanged bot."""
    measure = plan.goals.objectives[0].measure
    tested = [finding for finding in findings if finding.window.test]
    names = [str(finding.window.test).replace(" to ", "<br>to ") for finding in tested]
    bars = (
        (
            "chosen, in training",
            PALE_GREY,
            [f.chosen.outcome if f.chosen else None for f in tested],
        ),
        ("chosen, in test", BLUE, [f.test for f in tested]),
        ("unchanged bot, in test", ORANGE, [f.unchanged.test for f in tested]),
    )
    figure = go.Figure(
        [
            go.Bar(x=names, y=[_value(o, measure) for o in outcomes], name=name, marker_color=color)
            for name, color, outcomes in bars
        ]
    )
    figure.update_layout(barmode="group")
    return _styled(figure, "", measure, height=320)


def front(plan: Search, finding: WindowFinding) -> go.Figure:
    """The first two objectives of every feasible trial, and the front."""
    x, y = (goal.measure for goal in plan.goals.objectives[:2])
    feasible = [trial for trial in finding.trials if trial.feasible(plan.goals)]
    line = sorted(finding.front, key=lambda trial: float(_told(trial, x)))
    shape = "lines+markers" if len(plan.goals.objectives) == 2 else "markers"
    traces = [
        _points(plan, "trials", _some(feasible), x, y, color=PALE_GREY, size=6),
        _points(plan, "Pareto front", line, x, y, color=BLUE, size=9, mode=shape),
    ]
    if finding.chosen:
        traces.append(_points(plan, "chosen", [finding.chosen], x, y, color=ORANGE, size=14))
    return _styled(go.Figure(traces), x, y, height=420)


def settings(plan: Search, finding: WindowFinding) -> Iterator[go.Figure]:
    """For each axis, the first objective of every feasible trial over its value."""
    measure = plan.goals.objectives[0].measure
    trials = _some([trial for trial in finding.trials if trial.feasible(plan.goals)])
    for axis in plan.space.axes:
        values = [plan.space.settings(trial.point)[axis.key] for trial in trials]
        numbers = isinstance(axis, Range)
        figure = go.Figure(
            go.Scatter(
                x=[float(value) if numbers else text_of(value) for value in values],
                y=[float(_told(trial, measure)) for trial in trials],
                text=[_hover(plan, trial) for trial in trials],
                hovertemplate="%{text}<extra></extra>",
                mode="markers",
                marker={"color": BLUE, "size": 6, "opacity": 0.55},
            )
        )
        styled = _styled(figure, axis.key, measure, height=240)
        if isinstance(axis, Range):
            styled.update_xaxes(type="log" if axis.log else "linear")
        else:
            order = [text_of(value) for value in axis.values]
            styled.update_xaxes(type="category", categoryorder="array", categoryarray=order)
        yield styled


def history(plan: Search, finding: WindowFinding) -> go.Figure:
    """The first objective of trial after trial, and the best so far."""
    goal = plan.goals.objectives[0]
    feasible = [trial for trial in finding.trials if trial.feasible(plan.goals)]
    best: list[Decimal] = []
    for trial in feasible:
        value = _told(trial, goal.measure)
        best.append(value if not best or goal.better(value, best[-1]) else best[-1])
    few = _some(feasible)
    figure = go.Figure(
        [
            go.Scatter(
                x=[trial.number for trial in few],
                y=[float(_told(trial, goal.measure)) for trial in few],
                mode="markers",
                name="trials",
                marker={"color": PALE_GREY, "size": 5},
            ),
            go.Scatter(
                x=[trial.number for trial in feasible],
                y=[float(value) for value in best],
                mode="lines",
                name="best so far",
                line={"color": BLUE, "shape": "hv"},
            ),
        ]
    )
    return _styled(figure, "trial", goal.measure, height=260)


def _points(
    plan: Search,
    name: str,
    trials: Sequence[Trial],
    x: str,
    y: str,
    *,
    color: str,
    size: int,
    mode: str = "markers",
) -> go.Scatter:
    return go.Scatter(
        x=[float(_told(trial, x)) for trial in trials],
        y=[float(_told(trial, y)) for trial in trials],
        text=[_hover(plan, trial) for trial in trials],
        hovertemplate="%{text}<extra></extra>",
        mode=mode,
        name=name,
        line={"color": color, "width": 1},
        marker={"color": color, "size": size},
    )


def _hover(plan: Search, trial: Trial) -> str:
    measures = (f"{name} {shown(name, _told(trial, name))}" for name in plan.goals.measures)
    return f"trial {trial.number}: {settings_text(plan, trial)}<br>{'<br>'.join(measures)}"


def _told(trial: Trial, measure: str) -> Decimal:
    value = trial.outcome.measures[measure]
    assert value is not None
    return value


def _value(outcome: Outcome | None, measure: str) -> float | None:
    if outcome is None or outcome.status is not Status.JUDGED:
        return None
    value = outcome.measures.get(measure)
    return None if value is None else float(value)


def _some(trials: Sequence[Trial]) -> Sequence[Trial]:
    return trials[:: -(-len(trials) // POINTS_MAX) or 1]


def _styled(figure: go.Figure, x: str, y: str, *, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        # The page gives the colours of text and lines, light or dark.
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 10, "r": 10, "t": 28, "b": 10},
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(title=x, automargin=True, tickformat=_ticks(x))
    figure.update_yaxes(title=y, automargin=True, tickformat=_ticks(y))
    return figure


def _ticks(name: str) -> str | None:
    """How an axis writes its numbers: shares in percent."""
    measure = MEASURES.get(name)
    return "~p" if measure and measure.share else None
