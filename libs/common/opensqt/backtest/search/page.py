"""What a search came to, for people: one HTML page that works offline."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from opensqt.backtest.report import elements
from opensqt.backtest.search import plots, telling
from opensqt.backtest.search.best import text_of
from opensqt.backtest.search.measures import MEASURES
from opensqt.backtest.search.preparing import Prepared
from opensqt.backtest.search.searching import Search, WindowFinding
from opensqt.backtest.search.space import Choices
from opensqt.backtest.search.trials import tally

SHOWN = 20
REASONS = 20

Findings = Sequence[WindowFinding]


def write_page(path: Path, prepared: Prepared, findings: Findings) -> None:
    """Write the page; a reader sees all of it or nothing."""
    elements.write_whole(path, page(prepared, findings))


def page(prepared: Prepared, findings: Findings) -> str:
    """The whole page."""
    bot = prepared.setup.bot
    title = f"Search for {bot.bot_id}, a {bot.grid.direction.value.lower()} grid on {bot.symbol}"
    return elements.whole_page(title, "\n".join(_body(title, prepared, findings)))


def _body(title: str, prepared: Prepared, findings: Findings) -> Iterator[str]:
    plan, last = prepared.plan, findings[-1]
    yield _header(title, prepared)
    yield _tiles(plan, findings)
    if len(findings) > 1:
        heading, rows = telling.walk_rows(plan, findings)
        measure = plan.goals.objectives[0].measure
        yield elements.section(
            "Chosen on one stretch, judged on the next",
            elements.figure(plots.walk(plan, findings))
            + elements.table([heading, *rows], head=True, text_columns=(0, 1)),
            note=f"By {measure}. How much less it is in the test than in training is how much the "
            "settings were fitted to their own history. Train and test differ in "
            "length, so only measures that do not grow with time compare.",
        )
        latest = escape(str(last.window.train))
        yield f"<h2 class='part'>For what comes next: chosen on {latest}</h2>"
    else:
        yield (
            "<p class='warning'>These settings were chosen and judged on the same history: expect "
            "them to do worse. walk_forward in the space would tell by how much.</p>"
        )
    if len(plan.goals.objectives) > 1:
        yield elements.section(
            "Trials and their Pareto front",
            elements.figure(plots.front(plan, last)),
            note="Nothing is better than those on the line in one objective without being worse in "
            "another. The chosen one is nearest to the best of everything.",
        )
    heading, rows = telling.best_rows(plan, telling.ranked(plan, last), SHOWN)
    name = "The Pareto front" if len(plan.goals.objectives) > 1 else "The best"
    yield elements.section(
        name,
        elements.table([heading, *rows], head=True) if rows else "<p>No trial is feasible.</p>",
    )
    yield elements.section(
        "Settings and what came of them",
        "".join(elements.figure(plot) for plot in plots.settings(plan, last)),
        note="Each feasible trial is a point: a setting that matters shows as a slope or a hill.",
    )
    yield elements.section("How the search went", elements.figure(plots.history(plan, last)))
    yield elements.section("Trials", _counts(plan, findings))
    yield elements.section("What was searched", elements.definitions(list(_space(plan))))
    yield elements.section(
        "What was assumed",
        elements.definitions(
            [
                (key, value)
                for key, value in prepared.about.items()
                if key.startswith(("bot.", "assume.", "market."))
            ]
        ),
    )


def _header(title: str, prepared: Prepared) -> str:
    plan = prepared.plan
    goals = ", ".join(f"{goal.direction} {goal.measure}" for goal in plan.goals.objectives)
    facts = [
        ("Data", prepared.about["data"]),
        ("Search", f"{plan.kind}, {plan.trials:,} trials of {plan.space.size:,} points"),
        ("After", goals),
        ("Within", prepared.about["constraints"]),
        ("Seed", f"{plan.seed}, batches of {plan.batch}"),
    ]
    facts += [
        (measure, MEASURES[measure].text) for measure in plan.goals.measures if measure in MEASURES
    ]
    return f"<header><h1>{escape(title)}</h1>{elements.definitions(facts)}</header>"


def _tiles(plan: Search, findings: Findings) -> str:
    last = findings[-1]
    tiles = []
    for name in plan.goals.measures:
        chosen = last.chosen.outcome.measures.get(name) if last.chosen else None
        tiles.append((f"{name}, chosen", telling.number(chosen)))
        before = last.unchanged.train.measures.get(name)
        tiles.append((f"{name}, as configured", telling.number(before)))
    cells = "".join(
        f"<div class='tile'><span>{escape(name)}</span><strong>{escape(text)}</strong></div>"
        for name, text in tiles
    )
    return f"<div class='tiles'>{cells}</div>"


def _counts(plan: Search, findings: Findings) -> str:
    counts: dict[str, int] = {}
    for finding in findings:
        for kind, count in tally(finding.trials, plan.goals).items():
            counts[kind] = counts.get(kind, 0) + count
    told = elements.pairs([(kind, f"{count:,}") for kind, count in counts.items()])
    reasons = list(telling.reasons(findings, REASONS))
    return told + (elements.bullets(reasons) if reasons else "")


def _space(plan: Search) -> Iterator[tuple[str, str]]:
    for axis in plan.space.axes:
        if isinstance(axis, Choices):
            text = ", ".join(text_of(value) for value in axis.values)
        else:
            ends = f"{text_of(axis.value(0))} to {text_of(axis.value(axis.count - 1))}"
            text = f"{ends} in steps of {text_of(axis.step)}"
            text += ", small values as often as large ones" if axis.log else ""
        yield axis.key, text
    for key, other in plan.space.same.items():
        yield key, f"the same as {other}"
