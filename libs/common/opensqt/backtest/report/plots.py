"""The report's plots.

Blue buys and orange sells: nothing is told by red against green. Every colour shows on light and
on dark.
"""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from opensqt.backtest.columns import Ints
from opensqt.backtest.figures.accounting import BotAccounts, PnlSplit
from opensqt.backtest.figures.economics import level_inventory, level_result
from opensqt.backtest.figures.timeline import Floats
from opensqt.backtest.report.curves import AccountCurve, BotCurve, Marks
from opensqt.backtest.report.texts import money, percent, quantity, signed, utc

BLUE: Final = "#3b82f6"
ORANGE: Final = "#ea580c"
RED: Final = "#dc2626"
GREY: Final = "#64748b"
GREEN: Final = "#0d9488"
SLATE: Final = "#94a3b8"
PALE: Final = "rgba(59, 130, 246, 0.12)"
PALE_RED: Final = "rgba(220, 38, 38, 0.15)"


def pnl_bars(split: PnlSplit, quote: str) -> go.Figure:
    """Where the profit comes from, as a waterfall."""
    parts = {
        "grid profit": split.grid,
        "forced closes": split.forced,
        "inventory": split.inventory,
        "fees": -split.fees,
        "funding": split.funding,
    }
    if not split.forced:
        del parts["forced closes"]
    figure = go.Figure(
        go.Waterfall(
            x=[*parts, "result"],
            y=[*(float(part) for part in parts.values()), float(split.total)],
            measure=["relative"] * len(parts) + ["total"],
            text=[money(part) for part in (*parts.values(), split.total)],
            textposition="outside",
            cliponaxis=False,
            connector={"line": {"color": SLATE}},
            increasing={"marker": {"color": BLUE}},
            decreasing={"marker": {"color": ORANGE}},
            totals={"marker": {"color": GREY}},
            hovertemplate="%{x}: %{text} " + quote + "<extra></extra>",
        )
    )
    return _styled(figure, quote, height=300, time=False)


def equity(curve: AccountCurve, quote: str, deposit: float) -> go.Figure:
    """Equity over time, with the deposit, and what it would be if it had been held."""
    figure = go.Figure(_line(curve.time_ns, curve.state.equity, "equity", BLUE))
    if len(curve.held):
        figure.add_trace(_line(curve.time_ns, curve.held, "buy and hold", SLATE))
    figure.add_hline(y=deposit, line={"color": GREY, "width": 1, "dash": "dot"})
    return _styled(figure, quote, height=300)


def drawdown(curve: AccountCurve, quote: str) -> go.Figure:
    """How far the equity is below its highest so far."""
    line = _line(curve.time_ns, curve.drawdown, "drawdown", RED)
    line.update(fill="tozeroy", fillcolor=PALE_RED)
    return _styled(go.Figure(line), quote, height=180)


def exposure(curve: AccountCurve, quote: str) -> go.Figure:
    """Notional, margin and what is there to back them."""
    state = curve.state
    figure = go.Figure(
        [
            _line(curve.time_ns, state.exposure, "notional", BLUE),
            _line(curve.time_ns, state.margin, "initial margin", ORANGE),
            _line(curve.time_ns, state.maintenance, "maintenance margin", RED),
            _line(curve.time_ns, state.equity, "equity", GREY, dash="dot"),
        ]
    )
    return _styled(figure, quote, height=280)


def price(curve: BotCurve, bot: BotAccounts) -> go.Figure:
    """The market's price with the bot's fills."""
    figure = go.Figure(_line(curve.time_ns, curve.price, "price", SLATE))
    for name, marks, marker in (
        ("buys", curve.buys, {"color": BLUE, "symbol": "triangle-up", "size": 7}),
        ("sells", curve.sells, {"color": ORANGE, "symbol": "triangle-down", "size": 7}),
        ("forced", curve.forced, {"color": RED, "symbol": "x", "size": 12}),
    ):
        if len(marks.time_ns):
            figure.add_trace(_points(name, marks, marker, bot.base))
    return _styled(figure, f"{bot.quote} per {bot.base}", height=420)


def periods(curve: AccountCurve, quote: str) -> go.Figure:
    """What each day or month came to."""
    shown = curve.periods
    figure = go.Figure(
        go.Bar(
            x=_ms(np.array([part.start_ns + part.end_ns for part in shown]) // 2),
            y=[part.profit for part in shown],
            width=[0.8 * (part.end_ns - part.start_ns) / 1e6 for part in shown],
            marker={"color": [BLUE if part.profit >= 0 else ORANGE for part in shown]},
            customdata=[
                (
                    utc(part.start_ns),
                    utc(part.end_ns),
                    "no equity" if part.share is None else percent(part.share),
                )
                for part in shown
            ],
            hovertemplate="%{customdata[0]} to %{customdata[1]}<br>"
            f"%{{y:+,.2f}} {quote}, %{{customdata[2]}}<extra></extra>",
        )
    )
    figure = _styled(figure, quote, height=200)
    figure.update_layout(hovermode="closest")
    span = [shown[0].start_ns / 1e6, shown[-1].end_ns / 1e6]
    return figure.update_xaxes(range=span)


def inventory(curve: BotCurve, bot: BotAccounts) -> go.Figure:
    """What the bot held."""
    line = _line(curve.change_ns, curve.position, "position", BLUE)
    line.update(line={"color": BLUE, "width": 1.2, "shape": "hv"}, fill="tozeroy", fillcolor=PALE)
    return _styled(go.Figure(line), bot.base, height=200)


def parts(curve: BotCurve, bot: BotAccounts) -> go.Figure:
    """What the result was made of, over time."""
    told = curve.parts
    lines = [
        _line(told.time_ns, told.closed, "closed slots", BLUE),
        _line(told.time_ns, told.inventory, "inventory", SLATE),
        _line(told.time_ns, told.fees, "fees", ORANGE),
        _line(told.time_ns, told.funding, "funding", GREEN),
        _line(told.time_ns, told.total, "result", GREY, dash="dot"),
    ]
    for line in lines:
        line.update(line={"shape": "hv"}, hovertemplate="%{y:+,.2f}")
    return _styled(go.Figure(lines), bot.quote, height=300)


def levels(bot: BotAccounts) -> go.Figure:
    """What each level earned, and what it still holds was worth."""
    prices = [float(level.price) for level in bot.levels]
    closed = [float(level.profit + level.forced - level.fees) for level in bot.levels]
    open_ = [float(level_inventory(level, bot.mark)) for level in bot.levels]
    told = [
        (
            level.round_trips,
            level.fills,
            quantity(level.held),
            signed(level_result(level, bot.mark)),
        )
        for level in bot.levels
    ]
    figure = go.Figure(
        [
            go.Bar(
                name=name,
                x=amounts,
                y=prices,
                orientation="h",
                marker={"color": colour},
                customdata=told,
                hovertemplate=f"%{{y}}: {name} %{{x:+,.2f}} {bot.quote}<br>%{{customdata[0]}} "
                "round trips, %{customdata[1]} fills<br>holds %{customdata[2]} "
                f"{bot.base}<br>in all %{{customdata[3]}} {bot.quote}<extra></extra>",
            )
            for name, amounts, colour in (
                ("closed, after fees", closed, BLUE),
                ("inventory, at the last mark", open_, ORANGE),
            )
        ]
    )
    height = min(900, max(220, 90 + 9 * len(prices)))
    figure = _styled(figure, f"level, {bot.quote} per {bot.base}", height=height, time=False)
    figure.update_layout(barmode="relative")
    return figure.update_xaxes(title={"text": bot.quote, "standoff": 8})


def _line(
    times: Ints, values: Floats, name: str, colour: str, *, dash: str = "solid"
) -> go.Scatter:
    return go.Scatter(
        x=_ms(times),
        y=values,
        name=name,
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": dash},
    )


def _points(name: str, marks: Marks, marker: dict[str, Any], base: str) -> go.Scatter:
    shown = len(marks.time_ns)
    return go.Scatter(
        x=_ms(marks.time_ns),
        y=marks.price,
        name=name if shown == marks.of else f"{name} ({shown:,} of {marks.of:,})",
        mode="markers",
        marker={**marker, "opacity": 0.85},
        customdata=np.stack([marks.quantity, marks.level.astype(np.float64)], axis=1),
        hovertemplate=f"%{{y}}: %{{customdata[0]}} {base}, level %{{customdata[1]}}",
    )


def _ms(times: Ints) -> Floats:
    return times / 1e6


def _styled(figure: go.Figure, unit: str, *, height: int, time: bool = True) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 16, "t": 28, "b": 36},
        # The page gives the colours of text and lines, light or dark.
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        hovermode="x unified" if time else "closest",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 11}},
        dragmode="zoom",
    )
    if time:
        # All of them from the start to the end, so that they stand under each other.
        curves = [trace.x for trace in figure.data if len(trace.x)]
        span = [min(float(x[0]) for x in curves), max(float(x[-1]) for x in curves)]
        figure.update_xaxes(type="date", range=span)
    figure.update_yaxes(
        title={"text": unit, "standoff": 6}, separatethousands=True, exponentformat="none"
    )
    return figure
