"""The grid alone, in whole numbers: what it takes to find its fills, without anything around it.

On every level of its window rests an order to buy; what it buys is for sale one level above, or one
tick above the last price that was known before, if that is higher: the grid hears of a fill before
it hears of the price, and never offers what would fill at once.

Two forms that come to the same: a loop that looks at every tick, and one for which NumPy finds the
ticks that enter another cell between two levels. Two rules of other engines can be applied, to show
that nothing but them makes their fills differ.
"""

from enum import StrEnum
from types import SimpleNamespace

import numpy as np


class Rule(StrEnum):
    """What a trade through the price of an order does."""

    ALL = "all"
    """It fills every order that it is beyond."""
    NAUTILUS = "nautilus"
    """It fills the first; the market then stands at the price of that order until the next trade.

    So of several orders only the best is filled, and the others with a later trade, if that is
    still beyond them. Except where the order of the prices is not the order in which they are
    looked at: NautilusTrader sorts them by 64 of the 128 bits that it keeps prices in.
    """
    HFTBACKTEST = "hftbacktest"
    """It fills those on the other side than its aggressor's, and leaves the others."""


def _low_bits(price: int) -> int:
    """What remains of a price, kept with 16 decimals, in a signed integer of 64 bits."""
    return (price * 5 * 10**14 + 2**63) % 2**64 - 2**63  # a tick is 0.05


class Book:
    """Which levels have an opening order, and which hold something that a closing order sells."""

    def __init__(self, grid: SimpleNamespace, rule: Rule = Rule.ALL) -> None:
        self.grid, self.rule = grid, rule
        self.opening: set[int] = set()
        self.closing: dict[int, int] = {}
        """The price of the closing order, by the level of the slot that it empties."""
        self.beside: set[int] = set()
        """The slots whose closing order is not on a level."""
        self.low = self.high = 0
        """Prices between which nothing happens."""
        self.fills: list[tuple[int, int, int]] = []
        """Index of the tick, price and side."""
        self._top = 0
        self._begun = False
        self._kept_from = 0
        self._left = False
        """The last trade was beyond an order that it did not fill."""

    def see(self, number: int, price: int, before: int, *, falling: bool) -> None:
        """Let a tick fill what it reaches, then follow it; `before` is the price before it."""
        grid = self.grid
        top = (price - grid.anchor) // grid.interval
        if not self._begun:
            self._begun = True
            self._top, self._kept_from = top, top - grid.levels - grid.slack + 1
        bought, sold = self._filled(top, price, falling=falling)
        for level in bought:
            self.opening.remove(level)
            self.fills.append((number, self._price(level), 1))
            self.closing[level] = max(self._price(level + 1), before + 1)
            if before > self._price(level + 1):
                self.beside.add(level)
        for level in sold:
            self.fills.append((number, self.closing.pop(level), -1))
            self.beside.discard(level)
        for level in range(top, top - grid.levels, -1):
            if level not in self.closing:
                self.opening.add(level)
        kept_from = top - grid.levels - grid.slack + 1
        for level in range(self._kept_from, kept_from):
            self.opening.discard(level)
        self._top, self._kept_from = top, kept_from
        self._find_band()

    def _filled(self, top: int, price: int, *, falling: bool) -> tuple[list[int], list[int]]:
        """The levels whose opening orders are filled, and those whose closing orders are."""
        if self._left:
            bought = sorted((n for n in self.opening if n > top), reverse=True)
            sold = [n for n, at in self.closing.items() if price > at]
        else:
            bought = [n for n in range(self._top, top, -1) if n in self.opening]
            sold = [n for n in range(self._top, top) if n in self.closing]
            if self.beside:
                sold = [n for n in sold if n not in self.beside]
                sold += [n for n in self.beside if price > self.closing[n]]
        reached = len(bought) + len(sold)
        if self.rule is Rule.NAUTILUS:
            bought, sold = self._as_nautilus(bought), self._as_nautilus(sold)
        elif self.rule is Rule.HFTBACKTEST:
            bought, sold = (bought, []) if falling else ([], sold)
        self._left = len(bought) + len(sold) < reached
        return bought, sold

    def _find_band(self) -> None:
        """How far the price can go until it fills an order, or the window wants or drops one."""
        if self._left:  # an order that the price is beyond is looked at with every tick
            self.low = self.high = 0
            return
        grid, low, high = self.grid, self._top, self._top
        there = self.opening | self.closing.keys()
        while low not in self.opening and low - grid.levels in there:
            low -= 1
        drops = min(self.opening, default=high) + grid.levels + grid.slack
        while high not in self.closing and high + 1 in there and high + 1 < drops:
            high += 1
        self.low, self.high = self._price(low), self._price(high + 1)
        if self.beside:
            # A trade at the price is not beyond it.
            self.high = min(self.high, 1 + min(self.closing[n] for n in self.beside))

    def _as_nautilus(self, levels: list[int]) -> list[int]:
        """Those that it fills, of the orders of one side that a trade is beyond."""
        found: list[int] = []
        buys = bool(levels) and levels[0] in self.opening
        price_of = self._price if buys else self.closing.__getitem__
        levels = sorted(levels, key=lambda n: _low_bits(price_of(n)), reverse=buys)
        for level in levels:
            stands = price_of(found[-1]) if found else None
            if stands is None or (price_of(level) >= stands if buys else price_of(level) <= stands):
                found.append(level)
        return found

    def _price(self, level: int) -> int:
        return int(self.grid.anchor + level * self.grid.interval)


def by_loop(ticks: SimpleNamespace, grid: SimpleNamespace, rule: Rule = Rule.ALL) -> Book:
    """Look at every tick, one after the other."""
    book = Book(grid, rule)
    falling = ticks.buyer_is_maker
    before = 0
    for number, price in enumerate(ticks.price.tolist()):
        if not book.low < price < book.high:
            book.see(number, price, before, falling=falling[number])
        before = price
    return book


def by_vectors(ticks: SimpleNamespace, grid: SimpleNamespace) -> Book:
    """Look at the ticks that enter another cell."""
    book = Book(grid)
    prices = ticks.price
    cell = (prices - grid.anchor) // grid.interval
    begins = np.concatenate(([0], np.flatnonzero(cell[1:] != cell[:-1]) + 1))
    columns = (begins, prices[begins], prices[begins - 1], np.maximum.reduceat(prices, begins))
    ends = [*begins[1:].tolist(), len(prices)]
    rows = zip(*(column.tolist() for column in columns), ends, strict=True)
    for number, price, before, highest, end in rows:
        if not book.low < price < book.high:
            book.see(number, price, before, falling=False)
        seen = number
        while highest >= book.high:  # an order that is not on a level, and so within the cell
            beyond = np.flatnonzero(prices[seen + 1 : end] >= book.high)
            if not len(beyond):
                break
            seen += 1 + int(beyond[0])
            book.see(seen, int(prices[seen]), int(prices[seen - 1]), falling=False)
    return book


def as_rows(book: Book, ticks: SimpleNamespace, grid: SimpleNamespace) -> np.ndarray:
    """The fills as rows of (time, price, side, quantity)."""
    rows = np.array(book.fills, dtype=np.int64).reshape(-1, 3)
    return np.column_stack(
        (ticks.time_ns[rows[:, 0]], rows[:, 1:], np.full(len(rows), grid.quantity))
    )
