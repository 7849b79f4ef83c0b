"""What a search came to, for people: one HTML page that works offline."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from opensqt.backtest.assembly import build_case, make_bots
from opensqt.backtest.report import elements
from opensqt.backtest.report.assumptions import NOT_MODELLED, assumptions_of
from opensqt.backtest.search import plots, telling
from opensqt.backtest.search.best import text_of
from opensqt.backtest.search.measures import MEASURES
from opensqt.backtest.search.preparing import Prepared
from opensqt.backtest.search.searching import Search, WindowFinding
from opensqt.backtest.search.settings import ASSUME
from opensqt.backtest.search.space import Choices
from opensqt.backtest.search.trials import tally

SHOWN = 20
REASONS = 20
LINKED = ("What was searched", "Trials", "Assumptions", "Not modelled")
"""Sections that the head links to."""

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
    if last.chosen:
        yield from map(elements.warning, telling.at_edges(plan, last.chosen))
    else:
        yield elements.warning("No trial of the latest window can be chosen: see Trials.")
    yield elements.section("What was chosen", _chosen(prepared, last))
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
        yield elements.warning(
            "These settings were chosen and judged on the same history: expect them to do worse. "
            "walk_forward in the space would tell by how much."
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
    yield elements.section("Assumptions", elements.definitions(_assumptions(prepared)))
    yield elements.section("Not modelled", elements.bullets(NOT_MODELLED))
    yield elements.section("The bot as configured", elements.pairs(list(_bot(prepared))))


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
    return (
        f"<header><h1>{escape(title)}</h1>{elements.definitions(facts)}"
        f"{elements.links(LINKED)}</header>"
    )


def _chosen(prepared: Prepared, last: WindowFinding) -> str:
    """The settings that were chosen and what came of them, beside the bot as it is."""
    plan = prepared.plan
    settings = plan.space.settings(last.chosen.point) if last.chosen else {}
    rows = [
        (
            key,
            text_of(settings[key]) if settings else telling.DASH,
            _said(prepared.about, key),
        )
        for key in (*(axis.key for axis in plan.space.axes), *plan.space.same)
    ]
    (_, *names), measures = telling.chosen_rows(plan, last)
    head = ("", *(name.rstrip() for name in names))
    said = f"Measures are those of {last.window.train}, on which the settings were chosen."
    return f"<p class='note'>{escape(said)}</p>" + elements.table(
        [head, *rows, *measures], head=True
    )


def _said(about: Mapping[str, str], key: str) -> str:
    """What the bot or the assumptions say of a setting."""
    text = about.get(key if key.startswith(ASSUME) else f"bot.{key}", telling.DASH)
    return telling.DASH if text == "None" else text


def _assumptions(prepared: Prepared) -> list[tuple[str, str]]:
    setup = prepared.setup
    markets = {setup.bot.symbol: setup.market}
    bots = make_bots([setup.bot], markets, setup.assumed)
    case = build_case(bots, markets, {setup.bot.symbol: prepared.tape}, setup.assumed)
    return [(told.subject, told.text) for told in assumptions_of(case, setup.assumed)]


def _bot(prepared: Prepared) -> Iterator[tuple[str, str]]:
    for key, value in prepared.about.items():
        if key.startswith("bot.") and value != "None":
            yield key.removeprefix("bot."), value


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
