"""What a bot's grid lived on and what its levels did, as rows of text."""

from opensqt.backtest.figures.accounting import BotAccounts
from opensqt.backtest.figures.economics import GridEconomics, level_inventory, level_result
from opensqt.backtest.figures.periods import DAY_NS
from opensqt.backtest.report.rows import Told, amount_text
from opensqt.backtest.report.texts import NOT_ENOUGH, days, money, percent, quantity, signed
from opensqt.core.numbers import EXACT


def grid_rows(economics: GridEconomics, bot: BotAccounts) -> list[Told]:
    """What a bot's grid lived on, by name."""
    quote, best, worst = bot.quote, economics.best, economics.worst
    dearest, least = economics.dearest, economics.break_even_interval
    relative = float(EXACT.divide(economics.interval, dearest)) if dearest else None
    within = economics.within_a_candle
    trip, oldest = economics.round_trip_ns, economics.oldest_ns
    rows = [
        Told(
            "Interval",
            f"{quantity(economics.interval)} {quote} ({percent(relative, 3)})",
            f"Distance of two levels; in percent of {quantity(dearest)}, the highest level that "
            "filled, or the first price if none did.",
        ),
        Told(
            "Break-even interval",
            "none: no maker fee" if least <= 0 else f"{money(least)} {quote}",
            f"Below it a round trip costs more in maker fees than it earns, at {quantity(dearest)}."
            " Fees of taking are higher.",
        ),
        Told(
            "A round trip earns",
            amount_text(economics.profit_per_round_trip, quote),
            "Grid profit over round trips, before fees.",
        ),
        Told(
            "and costs",
            NOT_ENOUGH
            if economics.fees_per_round_trip is None
            else f"{money(economics.fees_per_round_trip)} {quote}",
            "All fees over round trips: those of what is still held are among them.",
        ),
        Told(
            "Fees of grid profit",
            "no profit" if economics.fee_share is None else percent(economics.fee_share, 1),
            "Fees over grid profit: what the exchange takes of what the grid earns.",
        ),
        Told(
            "Maker fills",
            "no fill" if economics.maker_share is None else percent(economics.maker_share, 1),
            "Share of the fills that took no liquidity.",
        ),
        Told(
            "Held until closed, median",
            NOT_ENOUGH if trip is None else days(trip / DAY_NS),
            "How long a slot was held until an order of the grid left it empty: half of them were "
            "faster.",
        ),
        Told(
            "Longest held at the end",
            "nothing held" if oldest is None else days(oldest / DAY_NS),
            "For how long the oldest of the slots that are still held has been held.",
        ),
        Told(
            "Since the last fill",
            days(economics.idle_ns / DAY_NS) if bot.fills else "no fill",
            "How long nothing had filled when the run ended.",
        ),
    ]
    if within is not None:
        means = (
            "Share of the closing fills in the very candle in which their slot had opened. The "
            "way within a candle is assumed: these the data does not show."
        )
        rows.append(Told("Closed within a candle", percent(within, 1), means))
    means = "Its closed trades less its fees, and what it holds at the last mark; without funding."
    for name, level in (("Best level", best), ("Worst level", worst)):
        if level is not None and len(bot.levels) > 1:
            came_to = signed(level_result(level, bot.mark))
            rows.append(Told(name, f"{quantity(level.price)}: {came_to} {quote}", means))
    return rows


def level_rows(bot: BotAccounts) -> list[tuple[str, ...]]:
    """What each level did, the highest price first, under a heading."""
    head = (
        "level",
        "price",
        "fills",
        "round trips",
        "profit",
        "forced",
        "fees",
        "holds",
        "inventory",
        "result",
    )
    rows = [
        (
            str(level.level),
            quantity(level.price),
            f"{level.fills:,}",
            f"{level.round_trips:,}",
            money(level.profit),
            money(level.forced),
            money(-level.fees),
            quantity(level.held),
            money(level_inventory(level, bot.mark)),
            money(level_result(level, bot.mark)),
        )
        for level in reversed(bot.levels)
    ]
    return [head, *rows]
