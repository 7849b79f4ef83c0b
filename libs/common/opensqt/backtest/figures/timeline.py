"""Position, cash and price of each bot at any time of a run, for statistics and plots.

Floats: what is computed here is looked at, never booked. A position and the cash beside it are
steps, which change with fills and funding payments; the mark price is a step, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opensqt.backtest.case import Case
from opensqt.backtest.columns import Ints
from opensqt.backtest.result import Result
from opensqt.backtest.tape import MARK_UNIT, Tape

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarkPath:
    """A market's mark price over time: as told, else the last trade, else the middle quote."""

    time_ns: Ints
    price: Floats

    @classmethod
    def of(cls, tape: Tape) -> Self:
        """The mark prices of a tape."""
        if len(tape.marks):
            return cls(time_ns=tape.marks.time_ns, price=_scaled(tape.marks.price, MARK_UNIT))
        if len(tape.trades):
            return cls(time_ns=tape.trades.time_ns, price=_scaled(tape.trades.price, tape.tick))
        both = tape.quotes.bid + tape.quotes.ask
        return cls(time_ns=tape.quotes.time_ns, price=_scaled(both, tape.tick / 2))

    def at(self, times: Ints) -> Floats:
        """The price in effect at each time; before the first one, the first one."""
        index = np.searchsorted(self.time_ns, times, side="right") - 1
        return self.price[np.maximum(index, 0)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BotPath:
    """What a bot held and had, after each of its fills and payments."""

    time_ns: Ints
    """When it changed; begins with the start of the run."""
    position: Floats
    """In base, signed."""
    cash: Floats
    """Received less paid so far, fees and funding included, in quote."""
    fees: Floats
    """Paid so far, in quote."""
    funding: Floats
    """Received so far, in quote."""
    mark: MarkPath

    @classmethod
    def of(cls, case: Case, result: Result, bot: int) -> Self:
        """The path of a bot, by its index in the result."""
        run = result.bots[bot]
        instrument, unit = run.instrument, float(run.money_unit)
        fills = result.fills.taken(result.orders.bot[result.fills.order] == bot)
        payments = result.payments.taken(result.payments.bot == bot)
        signed = result.orders.side[fills.order] * fills.quantity
        step = float(instrument.step_size)
        spent = signed * (step * float(instrument.tick_size)) * fills.price
        nothing = np.zeros(len(payments))
        times = np.concatenate([fills.time_ns, payments.time_ns])
        order = np.argsort(times, kind="stable")
        fees = np.concatenate([fills.fee * unit, nothing])[order]
        funding = np.concatenate([np.zeros(len(fills)), payments.amount * unit])[order]
        moved = np.concatenate([signed, np.zeros(len(payments), dtype=np.int64)])[order]
        paid = np.concatenate([spent, nothing])[order]
        return cls(
            time_ns=np.concatenate([[result.start_ns], times[order]]),
            position=_steps(moved) * step,  # summed in whole steps, so that flat is flat
            cash=_steps(funding - fees - paid),
            fees=_steps(fees),
            funding=_steps(funding),
            mark=MarkPath.of(case.tapes[run.identity.symbol]),
        )

    def index_at(self, times: Ints) -> Ints:
        """Which row is in effect at each time: all that happened at that very time has."""
        found: Ints = np.maximum(np.searchsorted(self.time_ns, times, side="right") - 1, 0)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountPath:
    """An account's equity and exposure over time."""

    deposit: float
    bots: tuple[BotPath, ...]
    maintenance: tuple[float, ...]
    """Maintenance rate of each bot's market."""
    leverage: tuple[int, ...]
    """Leverage of each bot's market."""

    @classmethod
    def of(cls, case: Case, result: Result, account: str) -> Self:
        """The path of an account."""
        mine = [i for i, run in enumerate(result.bots) if run.identity.account == account]
        symbols = [result.bots[i].identity.symbol for i in mine]
        return cls(
            deposit=float(case.accounts[account].deposit),
            bots=tuple(BotPath.of(case, result, index) for index in mine),
            maintenance=tuple(float(case.markets[s].maintenance_rate) for s in symbols),
            leverage=tuple(case.accounts[account].leverage_of(s) for s in symbols),
        )

    def at(self, times: Ints) -> "AccountState":
        """How the account stood at each time."""
        equity = np.full(len(times), self.deposit)
        exposure, maintenance, margin = (np.zeros(len(times)) for _ in range(3))
        distances = []
        for bot, rate, leverage in zip(self.bots, self.maintenance, self.leverage, strict=True):
            if not len(bot.mark.price):
                continue
            index, price = bot.index_at(times), bot.mark.at(times)
            position = bot.position[index]
            notional = np.abs(position) * price
            equity += bot.cash[index] + position * price
            exposure += notional
            maintenance += notional * rate
            margin += notional / leverage
            # What the price may lose against the position, per unit of equity that is left.
            distances.append(np.where(position > 0, 1 - rate, 1 + rate) * notional)
        backing = equity - maintenance
        distance = np.full(len(times), np.inf)
        for weight in distances:
            with np.errstate(divide="ignore", invalid="ignore"):
                distance = np.where(weight > 0, np.minimum(distance, backing / weight), distance)
        return AccountState(
            equity=equity,
            exposure=exposure,
            maintenance=maintenance,
            margin=margin,
            distance=distance,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountState:
    """How an account stood at some times; money in quote."""

    equity: Floats
    exposure: Floats
    """Notional of all positions at mark."""
    maintenance: Floats
    """Maintenance margin of all positions."""
    margin: Floats
    """Initial margin of all positions, open orders not counted."""
    distance: Floats
    """How far a mark may move against its position until liquidation, as a share of it; the least
    over the positions, each with the other marks as they are; infinite when nothing is held."""


def merged(series: Sequence[Ints]) -> Ints:
    """All times of several series that do not go back, in order and each once.

    A stable sort merges what is in order already, which is several times as fast as `np.unique`.
    """
    times: Ints = np.concatenate([np.zeros(0, dtype=np.int64), *series])
    times.sort(kind="stable")
    fresh = np.ones(len(times), dtype=bool)
    np.not_equal(times[1:], times[:-1], out=fresh[1:])
    return times[fresh]


def _scaled(numbers: Ints, unit: Decimal) -> Floats:
    """Whole numbers of a unit, as they are drawn."""
    return numbers.astype(np.float64) * float(unit)


def _steps(changes: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([np.zeros(1, dtype=changes.dtype), np.cumsum(changes)])
