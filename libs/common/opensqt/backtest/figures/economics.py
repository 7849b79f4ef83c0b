"""What a grid lives on: what a round trip earns, what it costs, and where it is stuck.

Money is exact; shares are floats, being statistics. What has no meaning is None.

The break-even interval is the least distance of two levels at which a round trip that opens and
closes as maker earns more than its fees. It follows from the fees alone: bought at `p` and sold at
`p + i` at a fee rate `f`, a round trip leaves ``i - f*p - f*(p + i)``, which is nothing at
``i = 2*f*p / (1 - f)``; sold at `p` and bought back at `p - i` it leaves ``i - f*p - f*(p - i)``,
which is nothing at ``i = 2*f*p / (1 + f)``.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from opensqt.backtest.case import Case
from opensqt.backtest.figures.accounting import BotAccounts, LevelStatistics
from opensqt.backtest.figures.slot_ledger import SlotLedger
from opensqt.backtest.figures.timeline import MarkPath
from opensqt.backtest.result import Fills, Kind, Result
from opensqt.core.grid.book import Direction
from opensqt.core.numbers import EXACT, ZERO, ceil_to, round_to

_DIGITS: Final = Decimal("1e-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridEconomics:
    """What one bot's grid lives on."""

    interval: Decimal
    """The least distance of two levels, in quote."""
    break_even_interval: Decimal
    """At `dearest`; rounded up to eight places. At or below zero: the maker fee is none, or a
    rebate."""
    dearest: Decimal
    """The highest level that filled, else the first price."""
    profit_per_round_trip: Decimal | None
    """Grid profit over round trips, before fees, in quote."""
    fees_per_round_trip: Decimal | None
    """All fees over round trips, in quote."""
    fee_share: float | None
    """Fees over grid profit; None without grid profit."""
    maker_share: float | None
    """Share of the fills that took no liquidity."""
    within_a_candle: float | None
    """Share of the closing fills in the very candle in which their slot had opened; None: the data
    has no candles, or nothing closed."""
    best: LevelStatistics | None
    worst: LevelStatistics | None
    """The levels whose `level_result` is the highest and the lowest."""
    round_trip_ns: int | None
    """How long a slot was held until an order of the grid left it empty: the median."""
    oldest_ns: int | None
    """How long the slot that is held longest has been held at the end; None: nothing is held."""
    idle_ns: int
    """From the last fill to the end; the whole run, if there was none."""


def break_even_interval(price: Decimal, maker_fee: Decimal, direction: Direction) -> Decimal:
    """The interval at which a round trip earns nothing, rounded up to eight places.

    Args:
        price: At which the slot opens.
        maker_fee: As a share of the notional.
        direction: Of the grid; a neutral one is taken as a long one, which needs more.
    """
    twice = EXACT.multiply(EXACT.multiply(Decimal(2), maker_fee), price)
    sign = 1 if direction is Direction.SHORT else -1
    exact = EXACT.divide(twice, EXACT.add(Decimal(1), sign * maker_fee))
    return ceil_to(exact, _DIGITS)


def level_result(level: LevelStatistics, mark: Decimal | None) -> Decimal:
    """What a level came to: its closed trades less its fees, and what it holds at the last mark.

    Funding is of the whole position and of no level; so are the fees of forced closes.
    """
    closed = EXACT.subtract(EXACT.add(level.profit, level.forced), level.fees)
    return EXACT.add(closed, level_inventory(level, mark))


def level_inventory(level: LevelStatistics, mark: Decimal | None) -> Decimal:
    """What a level holds at the end, at the last mark, less its cost."""
    if not level.held:
        return ZERO
    assert mark is not None, "a position without a market"
    worth = EXACT.multiply(level.held, mark)
    return EXACT.subtract(worth, level.cost.copy_sign(level.held))


def economics_of(case: Case, result: Result, books: BotAccounts, bot: int) -> GridEconomics:
    """What a bot's grid lived on.

    Args:
        case: What was run.
        result: What came of it.
        books: The bot's accounts.
        bot: Its index in the result.
    """
    config, fees = case.bots[bot], case.markets[books.symbol].fees
    prices = [level.price for level in books.levels]
    dearest = max(prices) if prices else _first_price(case, result, books)
    ranked = sorted(books.levels, key=lambda level: level_result(level, books.mark))
    fills = result.fills.taken(result.orders.bot[result.fills.order] == bot)
    last_ns = int(fills.time_ns[-1]) if len(fills) else result.start_ns
    trips, held_since = _holdings(result, fills, bot)
    return GridEconomics(
        interval=config.grid.interval,
        break_even_interval=break_even_interval(dearest, fees.maker, config.direction),
        dearest=dearest,
        profit_per_round_trip=_per(books.split.grid, books.round_trips),
        fees_per_round_trip=_per(books.split.fees, books.round_trips),
        fee_share=float(EXACT.divide(books.split.fees, books.split.grid))
        if books.split.grid > ZERO
        else None,
        maker_share=books.maker_fills / books.fills if books.fills else None,
        within_a_candle=closed_within_a_candle(case, result, bot),
        best=ranked[-1] if ranked else None,
        worst=ranked[0] if ranked else None,
        round_trip_ns=int(np.median(trips)) if trips else None,
        oldest_ns=result.end_ns - min(held_since.values()) if held_since else None,
        idle_ns=max(0, result.end_ns - last_ns),
    )


def closed_within_a_candle(case: Case, result: Result, bot: int) -> float | None:
    """Share of a bot's closing fills in the candle of their slot's last opening fill.

    These are the round trips that the assumed way within a candle made, and that the data does not
    show.
    """
    candle_s = case.tapes[result.bots[bot].identity.symbol].candle_s
    if candle_s is None:
        return None
    orders, fills = result.orders, result.fills
    mine = fills.taken(orders.bot[fills.order] == bot)
    candles = mine.time_ns // (candle_s * 10**9)
    opened: dict[int, int] = {}
    closings = within = 0
    for level, kind, candle in zip(
        orders.level[mine.order].tolist(),
        orders.kind[mine.order].tolist(),
        candles.tolist(),
        strict=True,
    ):
        if kind == Kind.OPEN:
            opened[level] = candle
        elif kind == Kind.CLOSE:
            closings += 1
            within += opened.get(level) == candle
    return within / closings if closings else None


def _holdings(result: Result, fills: Fills, bot: int) -> tuple[list[int], dict[int, int]]:
    """How long each round trip took, and since when the slots that are held are held, by level."""
    instrument = result.bots[bot].instrument
    ledger = SlotLedger(tick=instrument.tick_size, step=instrument.step_size)
    since: dict[int, int] = {}
    trips: list[int] = []
    for level, kind, signed, price, time_ns in zip(
        result.orders.level[fills.order].tolist(),
        result.orders.kind[fills.order].tolist(),
        (result.orders.side[fills.order] * fills.quantity).tolist(),
        fills.price.tolist(),
        fills.time_ns.tolist(),
        strict=True,
    ):
        if kind == Kind.FORCED:
            ledger.force(signed, price)
            since = {at: begun for at, begun in since.items() if ledger.slots[at].held}
            continue
        ledger.fill(level, signed, price, fee=0)
        if ledger.slots[level].held:
            since.setdefault(level, time_ns)
        elif level in since:
            trips.append(time_ns - since.pop(level))
    return trips, since


def _first_price(case: Case, result: Result, books: BotAccounts) -> Decimal:
    """The mark at the start, in ticks; zero in a market without prices."""
    path = MarkPath.of(case.tapes[books.symbol])
    if not len(path.price):
        return ZERO
    (price,) = path.at(np.array([result.start_ns], dtype=np.int64))
    return round_to(Decimal(float(price)), case.markets[books.symbol].instrument.tick_size)


def _per(amount: Decimal, count: int) -> Decimal | None:
    return round_to(EXACT.divide(amount, Decimal(count)), _DIGITS) if count else None
