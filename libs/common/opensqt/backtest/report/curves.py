"""What the report draws, as few points: equity and exposure, price and fills."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from opensqt.backtest.case import Case
from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.figures.accounting import AccountBooks
from opensqt.backtest.figures.periods import DAY_NS, Cut, Period, periods_of
from opensqt.backtest.figures.slot_ledger import SlotLedger
from opensqt.backtest.figures.timeline import AccountPath, AccountState, BotPath, Floats, merged
from opensqt.backtest.report.sampling import telling_points
from opensqt.backtest.result import Kind, Result

DAYS_DRAWN: Final = 92
"""Longer runs are drawn by months."""
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountCurve:
    """An account over time."""

    time_ns: Ints
    state: AccountState
    drawdown: Floats
    """How far the equity is below its highest so far, in quote; at most zero."""
    held: Floats
    """What the deposit would be worth, bought at the first marks and held, as
    `metrics.hold_return` has it; empty without a market."""
    periods: tuple[Period, ...]
    """The run cut into days, or into months if there are more than `DAYS_DRAWN`."""

    @classmethod
    def of(cls, case: Case, result: Result, books: AccountBooks, *, spans: int) -> Self:
        """The curve of an account, its extremes kept in each of so many spans of time."""
        path, final = AccountPath.of(case, result, books.name), float(books.final)
        ends = np.array([result.start_ns, result.end_ns], dtype=np.int64)
        series = [times for bot in path.bots for times in (bot.time_ns, bot.mark.time_ns)]
        times = merged([ends[:1], *series, ends[1:]])
        times = times[(times >= result.start_ns) & (times <= result.end_ns)]
        kept = []
        for begin in range(0, len(times), _BLOCK):
            block = times[begin : begin + _BLOCK]
            state = path.at(block)
            share = max(1, spans * len(block) // len(times))
            found = telling_points(block, (state.equity, state.exposure), spans=share)
            kept.append(block[found])
        few = np.concatenate(kept)
        state = path.at(few)
        highest = np.maximum.accumulate(np.maximum(state.equity, path.deposit))
        return cls(
            time_ns=few,
            state=state,
            drawdown=state.equity - highest,
            held=_held(path, few),
            periods=_periods(path, result, final),
        )


def _held(path: AccountPath, times: Ints) -> Floats:
    told = [bot.mark.at(times) for bot in path.bots if len(bot.mark.price)]
    if not told:
        return np.zeros(0)
    grown: Floats = np.mean([price / price[0] for price in told], axis=0)
    return path.deposit * grown


def _periods(path: AccountPath, result: Result, final: float) -> tuple[Period, ...]:
    span_ns = result.end_ns - result.start_ns
    cut = Cut.MONTH if span_ns > DAYS_DRAWN * DAY_NS else Cut.DAY
    return periods_of(path, result.start_ns, result.end_ns, final=final, cut=cut)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """Fills of one sort, to be drawn as points."""

    time_ns: Ints
    price: Floats
    quantity: Floats
    level: Ints
    of: int
    """How many there are in all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BotCurve:
    """A bot over time."""

    time_ns: Ints
    price: Floats
    """The market's."""
    buys: Marks
    sells: Marks
    forced: Marks
    change_ns: Ints
    position: Floats
    parts: "Parts"

    @classmethod
    def of(cls, case: Case, result: Result, bot: int, *, spans: int) -> Self:
        """The curve of a bot, by its index in the result."""
        path = BotPath.of(case, result, bot)
        inside = (path.mark.time_ns >= result.start_ns) & (path.mark.time_ns <= result.end_ns)
        times, price = path.mark.time_ns[inside], path.mark.price[inside]
        found = telling_points(times, (price,), spans=spans)
        # Each curve ends where the run ends, not with its last change.
        change_ns = np.append(path.time_ns, result.end_ns)
        position = np.append(path.position, path.position[-1])
        funding = np.append(path.funding, path.funding[-1])
        changes = telling_points(change_ns, (position, funding), spans=spans)
        # The worth of a position is extreme where the price is, or where the position changes.
        both = merged([times[found], change_ns[changes]])
        own = result.orders.kind != Kind.FORCED
        return cls(
            time_ns=times[found],
            price=price[found],
            buys=_marks(result, bot, own & (result.orders.side > 0), spans),
            sells=_marks(result, bot, own & (result.orders.side < 0), spans),
            forced=_marks(result, bot, ~own, spans),
            change_ns=change_ns[changes],
            position=position[changes],
            parts=Parts.of(result, bot, path, both),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What the result of a bot was made of at some times, in quote; they sum up to the total."""

    time_ns: Ints
    closed: Floats
    """Grid profit and forced closes so far, slot by slot, before fees."""
    inventory: Floats
    """What the slots held, at the mark, less its cost."""
    fees: Floats
    """So far; negative: paid."""
    funding: Floats
    """So far; negative: paid."""
    total: Floats

    @classmethod
    def of(cls, result: Result, bot: int, path: BotPath, times: Ints) -> Self:
        """The parts at each time: all that happened at that very time has."""
        closed_ns, closed_so_far = _closed(result, bot)
        closed = closed_so_far[np.searchsorted(closed_ns, times, side="right")]
        index = path.index_at(times)
        price = path.mark.at(times) if len(path.mark.price) else np.zeros(len(times))
        total = path.cash[index] + path.position[index] * price
        fees, funding = -path.fees[index], path.funding[index]
        return cls(
            time_ns=times,
            closed=closed,
            inventory=total - closed - fees - funding,
            fees=fees,
            funding=funding,
            total=total,
        )


def _closed(result: Result, bot: int) -> tuple[Ints, Floats]:
    """When a bot's fills came, and what they had closed so far; one more than there are fills."""
    run = result.bots[bot]
    fills = result.fills.taken(result.orders.bot[result.fills.order] == bot)
    ledger = SlotLedger(tick=run.instrument.tick_size, step=run.instrument.step_size)
    signed = result.orders.side[fills.order] * fills.quantity
    so_far = [0]
    for level, kind, quantity, price in zip(
        result.orders.level[fills.order].tolist(),
        result.orders.kind[fills.order].tolist(),
        signed.tolist(),
        fills.price.tolist(),
        strict=True,
    ):
        if kind == Kind.FORCED:
            gained = ledger.force(quantity, price)
        else:
            gained = ledger.fill(level, quantity, price, fee=0)
        so_far.append(so_far[-1] + gained)
    unit = float(ledger.unit)
    return fills.time_ns, np.array([amount * unit for amount in so_far])


def _marks(result: Result, bot: int, orders: Flags, spans: int) -> Marks:
    wanted = orders & (result.orders.bot == bot)
    fills = result.fills.taken(wanted[result.fills.order])
    instrument = result.bots[bot].instrument
    price: Floats = fills.price.astype(np.float64) * float(instrument.tick_size)
    quantity: Floats = fills.quantity.astype(np.float64) * float(instrument.step_size)
    found = telling_points(fills.time_ns, (price,), spans=spans)
    return Marks(
        time_ns=fills.time_ns[found],
        price=price[found],
        quantity=quantity[found],
        level=result.orders.level[fills.order][found],
        of=len(fills),
    )
