"""Equity and drawdown at every trade, in whole numbers, exactly.

An account's equity is its deposit, what its fills paid and received, fees and funding, and what it
holds at the mark: between two fills it is linear in the price, so that it costs a multiplication
and an addition for each trade. The mark is the one of the recording; without one it is the last
trade, and without trades the middle of the best prices.

What happens at a time is counted from the last price of that very time on, or from the next price
if there is none. A drawdown is what equity lies below its highest so far, the deposit included.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Final, Self

import numpy as np

from opensqt.backtest.case import Case
from opensqt.backtest.columns import Ints
from opensqt.backtest.result import Result
from opensqt.backtest.tape import MARK_UNIT, Tape
from opensqt.core.numbers import EXACT

BLOCK: Final = 1 << 14
"""Prices that are looked at together: what is computed of them stays in the processor's cache."""
LARGEST: Final = 2**62
"""Amounts below this are computed in 64 bits; others as Python's whole numbers, slowly."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EquityCurve:
    """An account's equity at every price. Money in `unit`."""

    unit: Decimal
    deposit: int
    time_ns: Ints
    equity: Ints
    peak: Ints
    """The highest equity so far."""
    drawdown: Ints
    """How far equity lies below it."""

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def final(self) -> Decimal:
        """Equity in the end, in quote."""
        return _money(int(self.equity[-1]) if len(self) else self.deposit, self.unit)

    @property
    def max_drawdown(self) -> Decimal:
        """The largest drawdown, in quote."""
        return _money(int(self.drawdown.max()) if len(self) else 0, self.unit)

    @property
    def max_drawdown_share(self) -> float:
        """The largest drawdown as a share of the peak before it, which may be another one."""
        known = self.peak > 0
        if not known.any():
            return 0.0
        return float((self.drawdown[known] / self.peak[known]).max())

    def sampled(self, points: int) -> Ints:
        """Indices for a plot of about so many points that keep every extreme in sight.

        The first and the last, and of each of as many stretches as fit the highest and the lowest.

        Raises:
            ValueError: Less than four points.
        """
        if points < 4:
            raise ValueError(f"points is {points}; allowed: 4 or more")
        count = len(self)
        if count <= points:
            return np.arange(count)
        edges = np.linspace(0, count, (points - 2) // 2 + 1).astype(np.int64)
        picked = [0, count - 1]
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            stretch = self.equity[start:end]
            picked += [start + int(stretch.argmin()), start + int(stretch.argmax())]
        return np.unique(np.array(picked, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The extremes of an equity curve, in quote."""

    final: Decimal
    lowest: Decimal
    highest: Decimal
    """The deposit included, as in the lowest."""
    max_drawdown: Decimal
    max_drawdown_share: float
    """The largest drawdown as a share of the peak before it, which may be another one."""


def equity_of(case: Case, result: Result, account: str) -> EquityCurve:
    """An account's equity at every price of the markets that its bots trade.

    Raises:
        KeyError: The case has no such account.
    """
    path = _Path.of(case, result, account)
    count = len(path.time_ns)
    equity = _empty(count, path.kind)
    peaks, drawdowns = np.empty_like(equity), np.empty_like(equity)
    highest = path.deposit
    for start, block in path.blocks():
        stretch = slice(start, start + len(block))
        equity[stretch] = block
        highest = _peaks(block, highest, out=peaks[stretch])
        np.subtract(peaks[stretch], block, out=drawdowns[stretch])
    return EquityCurve(
        unit=path.unit,
        deposit=path.deposit,
        time_ns=path.time_ns,
        equity=equity,
        peak=peaks,
        drawdown=drawdowns,
    )


def drawdown_of(case: Case, result: Result, account: str) -> Drawdown:
    """The extremes of the curve, which is not kept: for long markets and for many runs.

    Raises:
        KeyError: The case has no such account.
    """
    path = _Path.of(case, result, account)
    final = lowest = highest = path.deposit
    deepest, share, peaks = 0, 0.0, _empty(BLOCK, path.kind)
    for _, block in path.blocks():
        final, low = int(block[-1]), int(block.min())
        if int(block.max()) > highest:
            running = peaks[: len(block)]
            highest = _peaks(block, highest, out=running)
            fallen = running - block
            deepest = max(deepest, int(fallen.max()))
            share = max(share, float((fallen / np.maximum(running, 1)).max()))
        else:
            deepest = max(deepest, highest - low)
            share = max(share, (highest - low) / max(highest, 1))
        lowest = min(lowest, low)
    return Drawdown(
        final=_money(final, path.unit),
        lowest=_money(lowest, path.unit),
        highest=_money(highest, path.unit),
        max_drawdown=_money(deepest, path.unit),
        max_drawdown_share=share,
    )


def _empty(count: int, kind: type) -> Ints:
    numbers: Ints = np.empty(count, dtype=kind)
    return numbers


def _peaks(block: Ints, highest: int, *, out: Ints) -> int:
    """The highest so far at each place of a block; returns that at its end."""
    if int(block.max()) <= highest:
        out[:] = highest
        return highest
    np.maximum.accumulate(block, out=out)
    np.maximum(out, highest, out=out)
    return int(out[-1])


def _money(amount: int, unit: Decimal) -> Decimal:
    with localcontext(EXACT):
        return amount * unit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Holding:
    """What a bot's position adds to equity: ``factor * price + base``, from each of `starts` on."""

    prices: Ints
    starts: Ints
    factors: Ints
    bases: Ints

    def values(self, start: int, end: int) -> Ints:
        """At the prices from `start` to `end`."""
        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        last = int(np.searchsorted(self.starts, end))
        prices = self.prices[start:end]
        if last - first == 1:
            alone: Ints = prices * self.factors[first] + self.bases[first]
            return alone
        edges: Ints = np.append(self.starts[first:last], end)
        edges[0] = start
        lengths: Ints = edges[1:] - edges[:-1]
        values: Ints = np.repeat(self.factors[first:last], lengths)
        values *= prices
        values += np.repeat(self.bases[first:last], lengths)
        return values

    def largest(self) -> int:
        """No amount on the way is larger."""
        if not len(self.prices):
            return 0
        return int(abs(self.factors).max()) * int(self.prices.max()) + int(abs(self.bases).max())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Path:
    """All that an account's equity is made of."""

    unit: Decimal
    deposit: int
    time_ns: Ints
    holdings: tuple[_Holding, ...]
    kind: type

    @classmethod
    def of(cls, case: Case, result: Result, account: str) -> Self:
        deposit = case.accounts[account].deposit
        mine = [n for n, run in enumerate(result.bots) if run.identity.account == account]
        marks = [_Marks.of(case.tapes[result.bots[n].identity.symbol]) for n in mine]
        numbers = [deposit]
        for number, mark in zip(mine, marks, strict=True):
            run = result.bots[number]
            numbers += [run.money_unit, mark.unit * run.instrument.step_size]
        unit = Decimal((0, (1,), min(int(n.normalize().as_tuple().exponent) for n in numbers)))
        times, places = _together(marks)
        holdings = tuple(
            _holding(result, number, mark, unit, place)
            for number, mark, place in zip(mine, marks, places, strict=True)
        )
        counted = _count(deposit, unit)
        largest = counted + sum(holding.largest() for holding in holdings)
        kind: type = np.int64
        if largest >= LARGEST:
            kind = object
            holdings = tuple(
                replace(h, factors=h.factors.astype(object), bases=h.bases.astype(object))
                for h in holdings
            )
        return cls(unit=unit, deposit=counted, time_ns=times, holdings=holdings, kind=kind)

    def blocks(self) -> Iterator[tuple[int, Ints]]:
        """The curve, block by block, with where each begins."""
        for start in range(0, len(self.time_ns), BLOCK):
            end = min(start + BLOCK, len(self.time_ns))
            first, *others = (holding.values(start, end) for holding in self.holdings)
            first += self.deposit
            for other in others:
                first += other
            yield start, first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Marks:
    """A market's mark prices."""

    time_ns: Ints
    price: Ints
    unit: Decimal

    @classmethod
    def of(cls, tape: Tape) -> Self:
        if len(tape.marks):
            return cls(time_ns=tape.marks.time_ns, price=tape.marks.price, unit=MARK_UNIT)
        if len(tape.trades):
            return cls(time_ns=tape.trades.time_ns, price=tape.trades.price, unit=tape.tick)
        quotes = tape.quotes
        return cls(time_ns=quotes.time_ns, price=quotes.bid + quotes.ask, unit=tape.tick / 2)


def _together(marks: list[_Marks]) -> tuple[Ints, list[Ints | None]]:
    """All times in order, and for each market its price in effect at each: None: one by one."""
    if len(marks) == 1:
        return marks[0].time_ns, [None]
    if not marks:
        return np.empty(0, dtype=np.int64), []
    times = np.concatenate([mark.time_ns for mark in marks])
    order = np.argsort(times, kind="stable")
    whose = np.repeat(np.arange(len(marks)), [len(mark.time_ns) for mark in marks])[order]
    return times[order], [np.cumsum(whose == n) - 1 for n in range(len(marks))]


def _holding(
    result: Result, number: int, mark: _Marks, unit: Decimal, place: Ints | None
) -> _Holding:
    """What a bot's fills and payments do to equity, in units."""
    run = result.bots[number]
    instrument = run.instrument
    per_money = _count(run.money_unit, unit)
    lot = _count(instrument.tick_size * instrument.step_size, unit)
    per_step = _count(mark.unit * instrument.step_size, unit)
    fills, payments = result.fills, result.payments
    fills = fills.taken(result.orders.bot[fills.order] == number)
    payments = payments.taken(payments.bot == number)
    signed = result.orders.side[fills.order] * fills.quantity
    times = np.concatenate([fills.time_ns, payments.time_ns])
    at = _effective(mark.time_ns, times)
    if place is not None:
        at = np.searchsorted(place, at)
    order = np.argsort(at, kind="stable")
    wide = _wide(fills.price, signed, lot)
    cash = [-signed.astype(wide) * fills.price * lot - fills.fee * per_money]
    cash.append(payments.amount.astype(wide) * per_money)
    moved = np.concatenate([signed, np.zeros(len(payments), dtype=np.int64)])
    zero = np.zeros(1, dtype=np.int64)
    starts = np.concatenate([zero, at[order]])
    factors = np.cumsum(np.concatenate([zero, moved[order]])) * per_step
    bases = np.cumsum(np.concatenate([zero, np.concatenate(cash)[order]]))
    last = np.append(starts[1:] != starts[:-1], True)
    starts, factors, bases = starts[last], factors[last], bases[last]
    # Until its first price a market has no position, so any price will do.
    prices = mark.price if place is None else mark.price[np.maximum(place, 0)]
    return _Holding(prices=prices, starts=starts, factors=factors, bases=bases)


def _effective(marks: Ints, times: Ints) -> Ints:
    """From which price on a time counts."""
    after = np.searchsorted(marks, times, side="right")
    found: Ints = np.maximum(np.searchsorted(marks, times), after - 1)
    return found


def _wide(price: Ints, signed: Ints, lot: int) -> type:
    """What cash flows are computed in, so that their sum does not overflow either."""
    if not len(price):
        return np.int64
    largest = int(price.max()) * int(abs(signed).max()) * lot * len(price)
    return np.int64 if largest < LARGEST else object


def _count(number: Decimal, unit: Decimal) -> int:
    count = EXACT.divide(number, unit)
    assert count == int(count), f"{number} is not a multiple of {unit}"
    return int(count)
