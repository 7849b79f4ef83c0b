"""The report's tables as rows of text, for the page and for the terminal alike."""

from decimal import Decimal

from opensqt.backtest.accounting import AccountBooks, PnlSplit
from opensqt.backtest.metrics import Metrics
from opensqt.backtest.report.texts import (
    NOT_ENOUGH,
    days,
    money,
    percent,
    quantity,
    ratio,
    signed,
)
from opensqt.backtest.result import BotRun
from opensqt.core.numbers import plain
from opensqt.engine.bot import Bot


def split_rows(books: AccountBooks) -> list[tuple[str, ...]]:
    """Where an account's result comes from: a heading, a row for each part, the sum.

    One column for each bot, and one for all of them when there are several.
    """
    columns: list[tuple[str, PnlSplit]] = [(bot.bot_id, bot.split) for bot in books.bots]
    if len(columns) != 1:
        columns.append(("all", books.split))
    parts: list[tuple[str, list[Decimal]]] = [
        ("grid profit", [split.grid for _, split in columns]),
        ("forced closes", [split.forced for _, split in columns]),
        ("inventory", [split.inventory for _, split in columns]),
        ("fees", [-split.fees for _, split in columns]),
        ("funding", [split.funding for _, split in columns]),
        ("result", [split.total for _, split in columns]),
    ]
    rows = [(books.quote, *(name for name, _ in columns))]
    rows += [
        (name, *map(signed, amounts))
        for name, amounts in parts
        if name != "forced closes" or any(amounts)
    ]
    return rows


def metric_rows(metrics: Metrics, quote: str) -> list[tuple[str, str]]:
    """The figures of an account, by name."""
    every = "day" if metrics.sampling == "daily" else "hour"
    distance = metrics.liquidation_distance_min
    return [
        ("Span", days(metrics.days)),
        ("Result", f"{signed(metrics.profit)} {quote}"),
        ("Return", percent(metrics.return_share)),
        (
            "Max drawdown",
            f"{money(metrics.max_drawdown)} {quote} ({percent(metrics.max_drawdown_share)})",
        ),
        (f"Sharpe (every {every}, a year)", ratio(metrics.sharpe)),
        (f"Sortino (every {every}, a year)", ratio(metrics.sortino)),
        ("Fills", f"{metrics.fills:,}"),
        ("Fills a day", ratio(metrics.fills_per_day, 1)),
        ("Round trips", f"{metrics.round_trips:,}"),
        ("Turnover", f"{money(metrics.turnover)} {quote}"),
        (
            "Turnover a day",
            NOT_ENOUGH
            if metrics.turnover_per_day is None
            else f"{metrics.turnover_per_day:,.2f} deposits",
        ),
        ("Time in market", percent(metrics.time_in_market, 1)),
        (
            "Exposure, mean",
            NOT_ENOUGH
            if metrics.exposure_mean is None
            else f"{money(metrics.exposure_mean)} {quote}",
        ),
        ("Exposure, largest", f"{money(metrics.exposure_max)} {quote}"),
        (
            "Leverage, largest",
            "never held" if metrics.leverage_max is None else f"{metrics.leverage_max:,.2f}x",
        ),
        (
            "Nearest to liquidation",
            "never held"
            if distance is None
            else "over 100 %"
            if distance >= 1
            else percent(distance, 1),
        ),
    ]


def setting_rows(bot: Bot, run: BotRun) -> list[tuple[str, str]]:
    """How a bot was set."""
    grid = bot.grid
    rows = {
        "symbol": bot.symbol,
        "direction": bot.direction.value,
        "interval": quantity(grid.interval),
        "anchor": quantity(run.identity.anchor),
        "buy levels": str(grid.buy_levels),
        "sell levels": str(grid.sell_levels),
        "quantity": None if grid.quantity is None else plain(grid.quantity),
        "quote amount": None if grid.quote_amount is None else plain(grid.quote_amount),
        "max position": "no bound" if grid.max_position is None else plain(grid.max_position),
        "max open orders": str(grid.max_open_orders),
        "post-only": "yes" if grid.post_only else "no",
        "skew levels": str(grid.skew_levels),
        "slack levels": str(grid.slack_levels),
        "atr": "off"
        if grid.atr is None
        else f"{grid.atr.period} min, x{plain(grid.atr.multiple)}, up to {grid.atr.max_spacing}",
    }
    return [(name, value) for name, value in rows.items() if value is not None]
