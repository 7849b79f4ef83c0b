"""The report as one HTML page: everything in it, nothing from anywhere else."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from opensqt.backtest.accounting import AccountBooks, BotAccounts
from opensqt.backtest.case import Case
from opensqt.backtest.report import elements, figures
from opensqt.backtest.report.assumptions import NOT_MODELLED
from opensqt.backtest.report.contents import Contents
from opensqt.backtest.report.curves import AccountCurve, BotCurve
from opensqt.backtest.report.rows import metric_rows, setting_rows, split_rows
from opensqt.backtest.report.texts import days, money, percent, quantity, ratio, signed, utc

SPANS: Final = 1200
"""Spans of time that keep their extremes, in the plots of one bot; fewer each when there are more
bots, so that the page stays small."""
LEAST_SPANS: Final = 150


def write_page(path: Path, contents: Contents) -> None:
    """Write the page; a reader sees all of it or nothing."""
    elements.write_whole(path, page(contents))


def page(contents: Contents) -> str:
    """The whole page."""
    return elements.whole_page(_title(contents.case), "\n".join(_body(contents)))


def _body(contents: Contents) -> Iterator[str]:
    spans = max(LEAST_SPANS, SPANS // max(1, len(contents.result.bots)))
    yield _header(contents)
    for warning in contents.warnings:
        yield f'<p class="warning">{escape(warning)}</p>'
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
        f"<dt>Engine</dt><dd>{escape(engine)}{detours}</dd></dl></header>"
    )


def _account(contents: Contents, books: AccountBooks, spans: int) -> Iterator[str]:
    metrics = contents.metrics[books.name]
    quote = books.quote
    tiles = (
        ("Result", f"{signed(metrics.profit)} {quote}", "good" if metrics.profit > 0 else "bad"),
        ("Return", percent(metrics.return_share), ""),
        ("Max drawdown", percent(metrics.max_drawdown_share), ""),
        ("Sharpe", ratio(metrics.sharpe), ""),
        ("Round trips", f"{metrics.round_trips:,}", ""),
        ("Nearest to liquidation", _distance(metrics.liquidation_distance_min), ""),
    )
    yield (
        "<div class='tiles'>"
        + "".join(
            f"<div class='tile'><span>{name}</span>"
            f"<strong class='{kind}'>{escape(text)}</strong></div>"
            for name, text, kind in tiles
        )
        + "</div>"
    )
    curve = AccountCurve.of(contents.case, contents.result, books.name, spans=spans)
    yield "<div class='columns'>"
    yield elements.section(
        "Where the result comes from", elements.table(split_rows(books), head=True)
    )
    yield elements.section("Result in parts", elements.figure(figures.pnl_bars(books.split, quote)))
    yield "</div>"
    yield elements.section("Metrics", elements.pairs(metric_rows(metrics, quote)))
    yield elements.section(
        "Equity and drawdown",
        elements.figure(figures.equity(curve, quote, float(books.initial)), time=True)
        + elements.figure(figures.drawdown(curve, quote), time=True),
        note="Equity is the wallet and the unrealised profit at the mark price. The dotted line is "
        "the deposit.",
    )
    yield elements.section(
        "Exposure and margin", elements.figure(figures.exposure(curve, quote), time=True)
    )


def _bot(contents: Contents, bot: BotAccounts, index: int, spans: int) -> Iterator[str]:
    curve = BotCurve.of(contents.case, contents.result, index, spans=spans)
    name = f"{bot.bot_id}: " if len(contents.result.bots) > 1 else ""
    yield elements.section(
        f"{name}{bot.symbol} with fills", elements.figure(figures.price(curve, bot), time=True)
    )
    yield elements.section(
        f"{name}Inventory", elements.figure(figures.inventory(curve, bot), time=True)
    )
    yield elements.section(
        f"{name}Fees and funding, summed up",
        elements.figure(figures.costs(curve, bot), time=True),
        note="As they change the equity: below zero is paid.",
    )
    if bot.levels:
        head = ("level", "price", "fills", "round trips", "profit", "forced", "fees", "holds")
        rows = [
            (
                str(level.level),
                quantity(level.price),
                f"{level.fills:,}",
                f"{level.round_trips:,}",
                money(level.profit),
                money(level.forced),
                money(level.fees),
                quantity(level.held),
            )
            for level in reversed(bot.levels)
        ]
        table = elements.table([head, *rows], head=True)
        yield elements.section(
            f"{name}Levels",
            elements.figure(figures.levels(bot))
            + f"<details><summary>{len(rows)} levels as a table</summary>{table}</details>",
            note="Each level is a slot: it opens at its own price and closes one interval away.",
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


def _distance(share: float | None) -> str:
    if share is None:
        return "never held"
    return "over 100 %" if share >= 1 else percent(share, 1)
