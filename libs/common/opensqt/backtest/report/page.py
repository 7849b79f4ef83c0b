"""The report as one HTML page: everything in it, nothing from anywhere else."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from opensqt.backtest.case import Case
from opensqt.backtest.figures.accounting import AccountBooks, BotAccounts
from opensqt.backtest.report import elements, plots
from opensqt.backtest.report.assumptions import NOT_MODELLED
from opensqt.backtest.report.contents import Contents
from opensqt.backtest.report.curves import DAYS_DRAWN, AccountCurve, BotCurve
from opensqt.backtest.report.grid_rows import grid_rows, level_rows
from opensqt.backtest.report.rows import (
    distance_text,
    metric_rows,
    setting_rows,
    split_rows,
)
from opensqt.backtest.report.texts import days, percent, ratio, signed, utc

SPANS: Final = 1200
"""Spans of time that keep their extremes, in the plots of one bot; fewer each when there are more
bots, so that the page stays small."""
LEAST_SPANS: Final = 150
CLOSING: Final = ("Assumptions", "Not modelled", "Data", "Settings")
"""Sections that every page ends with, and that its head links to."""


def write_page(path: Path, contents: Contents) -> None:
    """Write the page; a reader sees all of it or nothing."""
    elements.write_whole(path, page(contents))


def page(contents: Contents) -> str:
    """The whole page."""
    return elements.whole_page(_title(contents.case), "\n".join(_body(contents)))


def _body(contents: Contents) -> Iterator[str]:
    spans = max(LEAST_SPANS, SPANS // max(1, len(contents.result.bots)))
    yield _header(contents)
    yield from map(elements.warning, contents.warnings)
    accounts = contents.accounting.accounts
    for books in accounts:
        if len(accounts) > 1:
            yield f"<h2 class='part'>Account {escape(books.name)}</h2>"
        yield from _account(contents, books, spans)
    index = {run.identity.bot_id: i for i, run in enumerate(contents.result.bots)}
    for bot in contents.accounting.bots:
        yield from _bot(contents, bot, index[bot.bot_id], spans)
    yield elements.section(
        "Assumptions", elements.definitions([(a.subject, a.text) for a in contents.assumptions])
    )
    yield elements.section("Not modelled", elements.bullets(NOT_MODELLED))
    yield elements.section("Data", _data(contents))
    yield elements.section("Settings", "".join(_settings(contents)))


def _header(contents: Contents) -> str:
    result = contents.result
    span = days((result.end_ns - result.start_ns) / 86_400e9)
    engine = f"{result.mode.value}, {result.acted:,} of {result.events:,} events acted on"
    detours = "".join(f"<br>{escape(text)}" for text in result.detours)
    sources = "<br>".join(
        f"{escape(symbol)}: {escape(tape.source or 'not named')}"
        for symbol, tape in contents.case.tapes.items()
    )
    return (
        f"<header><h1>{escape(_title(contents.case))}</h1>"
        f"<p class='lead'>{utc(result.start_ns)} to {utc(result.end_ns)} UTC, {span}</p>"
        f"<dl class='facts'><dt>Data</dt><dd>{sources}</dd>"
        f"<dt>Engine</dt><dd>{escape(engine)}{detours}</dd></dl>"
        f"{elements.links(CLOSING)}</header>"
    )


def _account(contents: Contents, books: AccountBooks, spans: int) -> Iterator[str]:
    metrics = contents.metrics[books.name]
    quote = books.quote
    kind = "good" if metrics.profit > 0 else "bad" if metrics.profit < 0 else ""
    yield elements.tiles(
        [
            ("Result", f"{signed(metrics.profit)} {quote}", kind),
            ("Return", percent(metrics.return_share), ""),
            ("Buy and hold", percent(metrics.hold_return), ""),
            ("Max drawdown", percent(metrics.max_drawdown_share), ""),
            ("Sharpe", ratio(metrics.sharpe), ""),
            ("Nearest to liquidation", distance_text(metrics), ""),
        ]
    )
    curve = AccountCurve.of(contents.case, contents.result, books, spans=spans)
    beside = len(books.bots) == 1  # a table of several bots needs the whole width
    yield "<div class='columns'>" if beside else "<div>"
    yield elements.section(
        "Where the result comes from", elements.table(split_rows(books), head=True)
    )
    yield elements.section("Result in parts", elements.figure(plots.pnl_bars(books.split, quote)))
    yield "</div>"
    yield elements.section("Metrics", elements.explained(metric_rows(metrics, quote)))
    yield elements.section(
        "Equity and drawdown",
        elements.figure(plots.equity(curve, quote, float(books.initial)), time=True)
        + elements.figure(plots.drawdown(curve, quote), time=True),
        note="Equity is the wallet and the unrealised profit at the mark price. The dotted line is "
        "the deposit; buy and hold is the deposit spent at the first mark price. A click on a name "
        "hides a line, dragging zooms all plots over time, a double click zooms out.",
    )
    if curve.periods:
        yield elements.section(
            "Day by day" if metrics.days <= DAYS_DRAWN else "Month by month",
            elements.figure(plots.periods(curve, quote), time=True),
            note="Change of the equity, cut at midnight UTC; the first and the last in part.",
        )
    yield elements.section(
        "Exposure and margin",
        elements.figure(plots.exposure(curve, quote), time=True),
        note="Notional is what the positions are worth at the mark. Where the maintenance margin "
        "meets the equity the account is liquidated.",
    )


def _bot(contents: Contents, bot: BotAccounts, index: int, spans: int) -> Iterator[str]:
    curve = BotCurve.of(contents.case, contents.result, index, spans=spans)
    name = f"{bot.bot_id}: " if len(contents.result.bots) > 1 else ""
    yield elements.section(
        f"{name}What the grid lives on",
        elements.explained(grid_rows(contents.economics[bot.bot_id], bot)),
    )
    yield elements.section(
        f"{name}{bot.symbol} with fills", elements.figure(plots.price(curve, bot), time=True)
    )
    yield elements.section(
        f"{name}Inventory", elements.figure(plots.inventory(curve, bot), time=True)
    )
    yield elements.section(
        f"{name}The result over time, in parts",
        elements.figure(plots.parts(curve, bot), time=True),
        note="Closed slots are realised, before fees; inventory is what the slots hold, at the "
        "mark, less its cost. Fees and funding below zero are paid.",
    )
    if bot.levels:
        table = elements.table(level_rows(bot), head=True)
        yield elements.section(
            f"{name}Levels",
            elements.figure(plots.levels(bot))
            + f"<details><summary>{len(bot.levels)} levels as a table</summary>{table}</details>",
            note="Each level is a slot: it opens at its own price and closes one interval away. "
            "Funding is of the whole position and of no level.",
        )


def _data(contents: Contents) -> str:
    if not contents.notes:
        return "<p>Nothing to note: no gaps, no duplicates, nothing out of order.</p>"
    head = ("symbol", "what", "count", "where, and what was done")
    rows = [(symbol, note.kind, f"{note.count:,}", note.text) for symbol, note in contents.notes]
    return elements.table([head, *rows], head=True, text_columns=(0, 1, 3))


def _settings(contents: Contents) -> Iterator[str]:
    for bot, run in zip(contents.case.bots, contents.result.bots, strict=True):
        yield f"<h3>{escape(bot.bot_id)}</h3>{elements.pairs(setting_rows(bot, run))}"


def _title(case: Case) -> str:
    bots = [f"{b.bot_id}, a {b.direction.value.lower()} grid on {b.symbol}" for b in case.bots]
    return (
        bots[0]
        if len(bots) == 1
        else f"{len(bots)} grids: " + ", ".join(bot.bot_id for bot in case.bots)
    )
