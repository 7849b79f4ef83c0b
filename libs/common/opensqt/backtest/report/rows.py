"""The report's tables as rows of text, for the page and for the terminal alike."""

from decimal import Decimal
from typing import NamedTuple

from opensqt.backtest.figures.accounting import AccountBooks, PnlSplit
from opensqt.backtest.figures.metrics import Metrics
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


class Told(NamedTuple):
    """A figure, and what it means."""

    name: str
    text: str
    means: str


def metric_rows(metrics: Metrics, quote: str) -> list[Told]:
    """The figures of an account, by name."""
    every = "day" if metrics.sampling == "daily" else "hour"
    best, worst = metrics.best_day, metrics.worst_day
    return [
        Told("Span", days(metrics.days), "From the first event to the last."),
        Told(
            "Result",
            f"{signed(metrics.profit)} {quote}",
            "Equity at the end less the deposit: all of it, what is still held included.",
        ),
        Told("Return", percent(metrics.return_share), "Result over deposit; not annualised."),
        Told(
            "Buy and hold",
            percent(metrics.hold_return),
            "What the deposit would have returned, spent at the first mark price and held to the "
            "last one, without fees, funding or leverage.",
        ),
        Told(
            "Mean position held",
            amount_text(metrics.mean_position_profit, quote),
            "What the bot's mean position would have made if held from start to end, without fees "
            "and funding: the part that the market gave.",
        ),
        Told(
            "Result beyond that",
            amount_text(_beyond(metrics), quote),
            "Result less what the mean position held would have made: the grid's own part.",
        ),
        Told(
            "Max drawdown",
            f"{money(metrics.max_drawdown)} {quote} ({percent(metrics.max_drawdown_share)})",
            "Largest fall of the equity below an earlier height, at every price; in percent of "
            "that height. The two may be different falls.",
        ),
        Told(
            "Longest drawdown",
            days(metrics.longest_drawdown_days),
            "Longest time from a height of the equity to the next as high, or to the end, "
            "looked at every hour.",
        ),
        Told(
            "Result / max drawdown",
            ratio(metrics.profit_over_drawdown),
            "How often the result pays for the worst fall; below 1 it does not.",
        ),
        Told(
            f"Sharpe (every {every}, a year)",
            ratio(metrics.sharpe),
            f"Mean return of every {every} over the spread of these returns, times the root of "
            "how many there are in a year of 365 days. A month of it is a guess.",
        ),
        Told(
            f"Sortino (every {every}, a year)",
            ratio(metrics.sortino),
            "The same, over the root mean square of the losses alone.",
        ),
        Told(
            "Days with a profit",
            f"{metrics.days_with_profit:,} of {metrics.days_counted:,}",
            "Days of UTC in which the equity rose; the first and the last in part.",
        ),
        Told("Best day", amount_text(best, quote), "Largest change of the equity in a day of UTC."),
        Told("Worst day", amount_text(worst, quote), "Least change of the equity in a day of UTC."),
        Told("Fills", f"{metrics.fills:,}", "Partial ones are counted one by one."),
        Told("Fills a day", ratio(metrics.fills_per_day, 1), "Fills over span."),
        Told(
            "Round trips",
            f"{metrics.round_trips:,}",
            "How often an order of the grid left a slot empty.",
        ),
        Told(
            "Turnover",
            f"{money(metrics.turnover)} {quote}",
            "Price times quantity of all fills: what fees are paid on.",
        ),
        Told(
            "Turnover a day",
            NOT_ENOUGH
            if metrics.turnover_per_day is None
            else f"{metrics.turnover_per_day:,.2f} deposits",
            "Turnover over span, in deposits.",
        ),
        Told(
            "Time in market",
            percent(metrics.time_in_market, 1),
            "Share of the span in which something was held.",
        ),
        Told(
            "Exposure, mean",
            NOT_ENOUGH
            if metrics.exposure_mean is None
            else f"{money(metrics.exposure_mean)} {quote}",
            "Notional of the positions at mark, over time.",
        ),
        Told(
            "Exposure, largest",
            f"{money(metrics.exposure_max)} {quote}",
            "Largest notional of the positions at mark.",
        ),
        Told(
            "Leverage, largest",
            "never held" if metrics.leverage_max is None else f"{metrics.leverage_max:,.2f}x",
            "Largest notional over the equity at that time.",
        ),
        Told(
            "Margin in use, largest",
            "never held" if metrics.margin_max is None else percent(metrics.margin_max, 1),
            "Largest initial margin of the positions over the equity at that time; open orders "
            "need more.",
        ),
        Told(
            "Nearest to liquidation",
            distance_text(metrics),
            "How far a mark price could still have moved against its position before the account "
            "was liquidated: the least over the span.",
        ),
    ]


def distance_text(metrics: Metrics) -> str:
    """How near an account came to its liquidation."""
    share = metrics.liquidation_distance_min
    if metrics.liquidated:
        return "liquidated"
    if share is None:
        return "never held"
    return "over 100 %" if share >= 1 else percent(share, 1)


def _beyond(metrics: Metrics) -> float | None:
    held = metrics.mean_position_profit
    return None if held is None else float(metrics.profit) - held


def amount_text(amount: Decimal | float | None, quote: str) -> str:
    """An amount with its sign and unit."""
    return NOT_ENOUGH if amount is None else f"{signed(amount)} {quote}"


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
