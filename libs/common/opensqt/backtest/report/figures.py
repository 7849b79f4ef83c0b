"""The report's plots. Colours tell apart without red against green: blue buys, orange sells."""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from opensqt.backtest.accounting import BotAccounts, PnlSplit
from opensqt.backtest.columns import Ints
from opensqt.backtest.report.curves import AccountCurve, BotCurve, Marks
from opensqt.backtest.report.texts import money
from opensqt.backtest.timeline import Floats

BLUE: Final = "#2563eb"
ORANGE: Final = "#ea580c"
RED: Final = "#b91c1c"
GREY: Final = "#64748b"
GREEN: Final = "#0f766e"
PALE: Final = "rgba(37, 99, 235, 0.10)"
PALE_RED: Final = "rgba(185, 28, 28, 0.15)"


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
            connector={"line": {"color": "#cbd5e1"}},
            increasing={"marker": {"color": BLUE}},
            decreasing={"marker": {"color": ORANGE}},
            totals={"marker": {"color": GREY}},
            hovertemplate="%{x}: %{text} " + quote + "<extra></extra>",
        )
    )
    return _styled(figure, quote, height=300, time=False)


def equity(curve: AccountCurve, quote: str, deposit: float) -> go.Figure:
    """Equity over time, with the deposit."""
    figure = go.Figure(_line(curve.time_ns, curve.state.equity, "equity", BLUE))
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
    figure = go.Figure(_line(curve.time_ns, curve.price, "price", "#94a3b8"))
    for name, marks, marker in (
        ("buys", curve.buys, {"color": BLUE, "symbol": "triangle-up", "size": 7}),
        ("sells", curve.sells, {"color": ORANGE, "symbol": "triangle-down", "size": 7}),
        ("forced", curve.forced, {"color": RED, "symbol": "x", "size": 12}),
    ):
        if len(marks.time_ns):
            figure.add_trace(_points(name, marks, marker, bot.base))
    return _styled(figure, f"{bot.quote} per {bot.base}", height=420)


def inventory(curve: BotCurve, bot: BotAccounts) -> go.Figure:
    """What the bot held."""
    line = _line(curve.change_ns, curve.position, "position", BLUE)
    line.update(line={"color": BLUE, "width": 1.2, "shape": "hv"}, fill="tozeroy", fillcolor=PALE)
    return _styled(go.Figure(line), bot.base, height=200)


def costs(curve: BotCurve, bot: BotAccounts) -> go.Figure:
    """Fees and funding so far, as they change the equity."""
    fees = _line(curve.change_ns, -curve.fees, "fees", ORANGE)
    funding = _line(curve.change_ns, curve.funding, "funding", GREEN)
    for line, colour in ((fees, ORANGE), (funding, GREEN)):
        line.update(line={"color": colour, "width": 1.5, "shape": "hv"})
    return _styled(go.Figure([fees, funding]), bot.quote, height=220)


def levels(bot: BotAccounts) -> go.Figure:
    """What each level earned, and what it holds."""
    prices = [float(level.price) for level in bot.levels]
    trips = [level.round_trips for level in bot.levels]
    figure = go.Figure(
        go.Bar(
            x=[float(level.profit + level.forced - level.fees) for level in bot.levels],
            y=prices,
            orientation="h",
            marker={
                "color": [
                    BLUE if level.profit + level.forced >= level.fees else ORANGE
                    for level in bot.levels
                ]
            },
            customdata=np.array(
                [trips, [level.fills for level in bot.levels], [float(v.held) for v in bot.levels]]
            ).T,
            hovertemplate=f"%{{y}}: %{{x}} {bot.quote} after fees<br>%{{customdata[0]}} round trips"
            f"<br>%{{customdata[1]}} fills<br>holds %{{customdata[2]}} {bot.base}<extra></extra>",
        )
    )
    height = min(900, max(220, 90 + 9 * len(prices)))
    figure = _styled(figure, "level", height=height, time=False)
    figure.update_xaxes(title={"text": f"{bot.quote} after fees", "standoff": 8})
    return figure


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
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#334155"},
        hovermode="x unified" if time else "closest",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 11}},
        dragmode="zoom",
    )
    grid: dict[str, Any] = {"gridcolor": "#eef2f7", "zerolinecolor": "#cbd5e1"}
    figure.update_xaxes(**grid)
    if time:
        # All of them from the start to the end, so that they stand under each other.
        curves = [trace.x for trace in figure.data if len(trace.x)]
        span = [min(float(x[0]) for x in curves), max(float(x[-1]) for x in curves)]
        figure.update_xaxes(type="date", range=span)
    figure.update_yaxes(
        **grid, title={"text": unit, "standoff": 6}, separatethousands=True, exponentformat="none"
    )
    return figure
