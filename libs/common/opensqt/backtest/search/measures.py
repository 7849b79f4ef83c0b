"""What a backtest can be judged by: names, and what they mean."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from opensqt.backtest.case import Case
from opensqt.backtest.figures.accounting import AccountBooks, account_for
from opensqt.backtest.figures.metrics import largest_fall, metrics_of
from opensqt.backtest.figures.periods import DAY_NS
from opensqt.backtest.result import Result
from opensqt.backtest.search.goals import Measures
from opensqt.core.numbers import divide


class Source(Enum):
    """What a measure is taken from; the dearer ones only when they are asked for."""

    BOOKS = "the fills alone"
    DRAWDOWN = "the equity at every trade"
    PATH = "the equity and the position over time"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure."""

    text: str
    source: Source = Source.BOOKS
    share: bool = False
    """It is shown to people in percent."""


MEASURES: Final[Mapping[str, Measure]] = {
    "return": Measure("profit over the deposit, as a share", share=True),
    "return_per_day": Measure("profit over the deposit for each day, as a share", share=True),
    "profit": Measure("final equity less the deposit, in quote"),
    "grid_profit": Measure("profit of closed levels, before fees, in quote"),
    "inventory": Measure("what is still held at the last mark, less its cost, in quote"),
    "fees": Measure("fees paid, in quote"),
    "funding": Measure("funding received, in quote"),
    "forced": Measure("profit of what the exchange closed by force, in quote"),
    "fills": Measure("how many fills"),
    "fills_per_day": Measure("fills a day"),
    "round_trips": Measure("how often a level was filled and closed"),
    "turnover": Measure("price times quantity of all fills, in quote"),
    "refused": Measure("orders that the exchange did not take"),
    "liquidations": Measure("orders that the exchange made to close by force"),
    "max_drawdown": Measure("largest fall of the equity, in quote", Source.DRAWDOWN),
    "max_drawdown_share": Measure(
        "largest fall of the equity, as a share of what it fell from", Source.DRAWDOWN, share=True
    ),
    "sharpe": Measure("Sharpe ratio, annualised", Source.PATH),
    "sortino": Measure("Sortino ratio, annualised", Source.PATH),
    "time_in_market": Measure(
        "share of the time in which something was held", Source.PATH, share=True
    ),
    "exposure_mean": Measure("mean notional held, in quote", Source.PATH),
    "exposure_max": Measure("largest notional held, in quote", Source.PATH),
    "leverage_max": Measure("largest notional over the equity at the time", Source.PATH),
    "liquidation_distance": Measure(
        "nearest that liquidation came, as a share of the mark", Source.PATH, share=True
    ),
}


def judge(case: Case, result: Result, wanted: Collection[str]) -> Measures:
    """What a run of one bot comes to.

    Args:
        case: What was run.
        result: What came of it.
        wanted: Measures that must be among them, as far as there is enough data.
    """
    (books,) = account_for(case, result).accounts
    found = _from_books(books, result)
    sources = {MEASURES[name].source for name in wanted}
    if Source.DRAWDOWN in sources:
        fallen, share = largest_fall(case, result, books)
        found |= {"max_drawdown": fallen, "max_drawdown_share": exact(share)}
    if Source.PATH in sources:
        found |= _from_path(case, result, books)
    return found


def _from_books(books: AccountBooks, result: Result) -> dict[str, Decimal | None]:
    (bot,) = books.bots
    split = books.split
    days = divide(Decimal(result.end_ns - result.start_ns), Decimal(DAY_NS))
    share = divide(split.total, books.initial)
    return {
        "return": share,
        "return_per_day": divide(share, days) if days else None,
        "profit": split.total,
        "grid_profit": split.grid,
        "inventory": split.inventory,
        "fees": split.fees,
        "funding": split.funding,
        "forced": split.forced,
        "fills": Decimal(bot.fills),
        "fills_per_day": divide(Decimal(bot.fills), days) if days else None,
        "round_trips": Decimal(bot.round_trips),
        "turnover": bot.turnover,
        "refused": Decimal(bot.refused),
        "liquidations": Decimal(bot.forced_closes),
    }


def _from_path(case: Case, result: Result, books: AccountBooks) -> dict[str, Decimal | None]:
    metrics = metrics_of(case, result, books)
    return {
        "sharpe": exact(metrics.sharpe),
        "sortino": exact(metrics.sortino),
        "time_in_market": exact(metrics.time_in_market),
        "exposure_mean": exact(metrics.exposure_mean),
        "exposure_max": exact(metrics.exposure_max),
        "leverage_max": exact(metrics.leverage_max),
        "liquidation_distance": exact(metrics.liquidation_distance_min),
    }


def exact(value: float | None) -> Decimal | None:
    """A statistic as the search keeps it, by its shortest text; None: it cannot be told."""
    number = None if value is None else Decimal(repr(float(value)))
    return number if number is None or number.is_finite() else None
