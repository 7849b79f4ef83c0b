"""What the report draws, as few points: equity and exposure, price and fills."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from opensqt.backtest.case import Case
from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.report.sampling import telling_points
from opensqt.backtest.result import Kind, Result
from opensqt.backtest.timeline import AccountPath, AccountState, BotPath, Floats

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountCurve:
    """An account over time."""

    time_ns: Ints
    state: AccountState
    drawdown: Floats
    """How far the equity is below its highest so far, in quote; at most zero."""

    @classmethod
    def of(cls, case: Case, result: Result, account: str, *, spans: int) -> Self:
        """The curve of an account, its extremes kept in each of so many spans of time."""
        path = AccountPath.of(case, result, account)
        ends = np.array([result.start_ns, result.end_ns], dtype=np.int64)
        series = [times for bot in path.bots for times in (bot.time_ns, bot.mark.time_ns)]
        times = np.unique(np.concatenate([ends, *series]))
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
        return cls(time_ns=few, state=state, drawdown=state.equity - highest)


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
    fees: Floats
    funding: Floats

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
        fees = np.append(path.fees, path.fees[-1])
        funding = np.append(path.funding, path.funding[-1])
        changes = telling_points(change_ns, (position, funding), spans=spans)
        own = result.orders.kind != Kind.FORCED
        return cls(
            time_ns=times[found],
            price=price[found],
            buys=_marks(result, bot, own & (result.orders.side > 0), spans),
            sells=_marks(result, bot, own & (result.orders.side < 0), spans),
            forced=_marks(result, bot, ~own, spans),
            change_ns=change_ns[changes],
            position=position[changes],
            fees=fees[changes],
            funding=funding[changes],
        )


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
