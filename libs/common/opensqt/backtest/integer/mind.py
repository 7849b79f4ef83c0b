"""`Mind`: what a grid decides, in whole numbers: `core.grid.strategy.plan`, one change at a time.

The plan of the core looks at the whole grid whenever it is asked. This one remembers that around
the price it heard last nothing is left to do, and looks only at what has changed since: a slot that
became free, the levels that the window newly covers, those that it has left behind. Where a bound
on the position makes what one level may have depend on the others, it looks at all of them, too.

The same orders in the same order come out as long as the cap on open orders does not bind; when it
would, that is `NotOrdinary`.
"""

from typing import Final

from opensqt.backtest.integer.ordinary import NotOrdinary
from opensqt.backtest.integer.scale import Scale
from opensqt.backtest.integer.slots import (
    BUY,
    CLOSE,
    DOOMED,
    FREE,
    ON_ITS_WAY,
    OPEN,
    PENDING,
    RESTING,
    SELL,
    Rows,
    Slot,
)
from opensqt.core.grid.book import Direction

FAR: Final = 2**62
"""Beyond every price and level, and in the order of the book after every slot."""

Wanted = tuple[int, int, Slot, int, int, int, int]
"""Distance from the market, which one first among equals; slot, side, kind, price, quantity."""


class Mind:
    """Decides for one grid.

    Args:
        scale: The grid.
        rows: Where its orders are written down.
    """

    def __init__(self, scale: Scale, rows: Rows) -> None:
        grid, direction = scale.grid, scale.identity.direction
        self.requests: list[Slot] = []
        """What is to be sent: orders of the PENDING, cancels of the DOOMED."""
        self.slots: dict[int, Slot] = {}
        self.waiting: list[Slot] = []
        """Those that hold something and have no closing order yet."""
        self.bid = 0
        """As it was heard last; the ask is a tick above."""
        self.off = 0
        """How many orders are between two levels."""
        self._scale, self._rows = scale, rows
        self._anchor, self._interval = scale.anchor, scale.interval
        self._buys = grid.buy_levels if direction is not Direction.SHORT else 0
        self._sells = grid.sell_levels if direction is not Direction.LONG else 0
        self._reach = {
            BUY: grid.buy_levels * scale.interval,
            SELL: grid.sell_levels * scale.interval,
        }
        self._slack = grid.slack_levels
        self._cap = grid.max_open_orders
        self._least, self._most = scale.least, scale.most
        self._least_notional = scale.least_notional
        self._bound, self._skew = scale.max_position, grid.skew_levels
        self._live = self._count = self._position = 0
        self._built = {BUY: 0, SELL: 0}
        self._heard = False
        self._top = self._bottom = 0
        """The highest level that an opening buy may take, the lowest for an opening sell."""
        self._lowest, self._highest = FAR, -FAR
        """No opening buy rests below, no opening sell above."""
        self._quantities: dict[int, tuple[int, bool]] = {}

    # --- what comes in ---------------------------------------------------------------------------

    def hear_price(self, bid: int, at: int) -> None:
        """The market moved."""
        before = self._top
        if self._bound is not None or not self._heard:
            self._heard = True
            self.pass_price(bid)
            self._decide(at)
            return
        self.bid = bid
        top = (bid - self._anchor) // self._interval
        if top == before and not self.waiting:
            return
        self._top, self._bottom = top, top + 1
        wanted = [w for slot in self.waiting if (w := self._closing(slot))] if self.waiting else []
        if self._buys:
            levels = _newly_below(before, top, self._buys)
            wanted += [self._opening(level, BUY) for level in levels if self._free(level)]
        if self._sells:
            levels = _newly_above(before + 1, top + 1, self._sells)
            wanted += [self._opening(level, SELL) for level in levels if self._free(level)]
        self._emit(wanted, at)

    def pass_price(self, bid: int) -> None:
        """The market moved to where nothing is to be decided."""
        self.bid = bid
        self._look_around()

    def hear_fill(self, slot: Slot, quantity: int, at: int) -> None:
        """An order filled, in part or whole."""
        signed = quantity * slot.side
        slot.held += signed
        self._position += signed
        if slot.kind:
            self._built[-slot.side] -= quantity
        else:
            slot.exit = slot.price + self._interval * slot.side
        if not slot.left:
            self._end(slot)
        if self._bound is not None:
            self._decide(at)
        elif not slot.left:
            self._look_at(slot, at)

    def hear_placed(self, slot: Slot) -> None:
        """The exchange took an order."""
        slot.state = RESTING
        if not slot.kind and not self._keeps(slot):
            self._cancel([slot])

    def hear_canceled(self, slot: Slot, at: int) -> None:
        """The exchange cancelled an order."""
        if not slot.kind:
            self._built[slot.side] -= slot.left
        self._end(slot)
        if self._bound is not None:
            self._decide(at)
        else:
            self._look_at(slot, at)

    # --- where nothing is to be decided ----------------------------------------------------------

    def quiet_about(self, level: int) -> bool:
        """Whether nothing is to be decided just below and just above a level.

        As things are, and provided that nothing is at one of the two, where the market is.
        """
        if self._bound is not None:
            return self._quiet_at(level - 1) and self._quiet_at(level)
        if self._buys:
            depth = self._buys
            if level - depth - self._slack >= self._lowest:
                return False
            if self._free(level) or self._free(level - depth):
                return False
        if self._sells:
            depth = self._sells
            if level + depth + self._slack <= self._highest:
                return False
            if self._free(level) or self._free(level + depth):
                return False
        return True

    def quiet_cells(self) -> tuple[int, int]:
        """The lowest and the highest cell near the market where nothing is to be decided."""
        cell = (self.bid - self._anchor) // self._interval
        below, above = self.quiet_about(cell), self.quiet_about(cell + 1)
        return cell - below, cell + above

    def awaited(self) -> tuple[int, int]:
        """The prices at or beyond which a closing order that waits may be placed."""
        low, high = -FAR, FAR
        for slot in self.waiting:
            quantity = abs(slot.held)
            if not self._least <= quantity <= self._most:
                continue
            enough = -(-self._least_notional // quantity)
            if slot.held > 0:
                high = min(high, max(slot.exit - self._reach[SELL], enough) - 1)
            elif slot.exit >= max(enough, 1):
                low = max(low, slot.exit + self._reach[BUY] + 1)
                high = min(high, enough if self.bid < enough else FAR)
        return low, high

    def _quiet_at(self, cell: int) -> bool:
        around = self._top, self._bottom
        self._shift(cell)
        quiet = not self._openings() and not self._left_behind()
        self._top, self._bottom = around
        return quiet

    # --- all of it -------------------------------------------------------------------------------

    def _decide(self, at: int) -> None:
        self._look_around()
        wanted = [w for slot in self.waiting if (w := self._closing(slot))] if self.waiting else []
        self._emit(wanted + self._openings(), at)

    def _openings(self) -> list[Wanted]:
        found: list[Wanted] = []
        for side in (BUY, SELL) if self._sells else (BUY,):
            built = self._built[side]
            if side == BUY:
                levels = range(self._top, self._top - self._buys, -1)
            else:
                levels = range(self._bottom, self._bottom + self._sells)
            for level in levels:
                slot = self.slots.get(level)
                if (
                    slot and (slot.held or slot.state)
                ) or self._anchor + level * self._interval <= 0:
                    continue
                quantity, taken = self._quantity(level)
                if self._bound is not None and built + quantity > self._bound:
                    break
                if taken:
                    built += quantity
                    found.append(self._opening(level, side))
        return found

    def _left_behind(self) -> list[Slot]:
        """The opening orders that the window has left behind."""
        found: list[Slot] = []
        limit = self._top - self._buys - self._slack
        if limit >= self._lowest:
            found += self._opened(range(limit, self._lowest - 1, -1), BUY)
        limit = self._bottom + self._sells + self._slack
        if limit <= self._highest:
            found += self._opened(range(limit, self._highest + 1), SELL)
        return found

    def _opened(self, levels: range, side: int) -> list[Slot]:
        """Those of some levels whose opening orders rest."""
        there = (slot for level in levels if (slot := self.slots.get(level)))
        return [s for s in there if s.state == RESTING and not s.kind and s.side == side]

    # --- what has changed ------------------------------------------------------------------------

    def _look_around(self) -> None:
        self._shift((self.bid - self._anchor) // self._interval)

    def _shift(self, cell: int) -> None:
        self._top, self._bottom = cell, cell + 1
        if self._skew and self._position:
            assert self._bound is not None
            numerator = min(abs(self._position), self._bound) * self._skew
            whole, rest = divmod(2 * numerator + self._bound, 2 * self._bound)
            shift = whole - (not rest and whole & 1)  # half to even
            if self._position > 0:
                self._top -= shift
            else:
                self._bottom += shift

    def _look_at(self, slot: Slot, at: int) -> None:
        """A slot became free."""
        wanted: Wanted | None = None
        if slot.held:
            self.waiting.append(slot)
            wanted = self._closing(slot)
        elif self._top - self._buys < slot.level <= self._top:
            wanted = self._opening(slot.level, BUY) if self._free(slot.level) else None
        elif self._bottom <= slot.level < self._bottom + self._sells:
            wanted = self._opening(slot.level, SELL) if self._free(slot.level) else None
        if wanted:
            self._place(wanted, at)

    def _free(self, level: int) -> bool:
        """Whether a level of the window wants an opening order."""
        slot = self.slots.get(level)
        if slot is not None and (slot.held or slot.state):
            return False
        return self._anchor + level * self._interval > 0 and self._quantity(level)[1]

    # --- orders ----------------------------------------------------------------------------------

    def _opening(self, level: int, side: int) -> Wanted:
        price = self._anchor + level * self._interval
        distance = self.bid - price if side > 0 else price - self.bid - 1
        slot = self.slots.get(level) or Slot(level, -1)
        return (
            max(distance, 0),
            FAR - side,
            slot,
            side,
            OPEN,
            price,
            self._quantity(level)[0],
        )

    def _closing(self, slot: Slot) -> Wanted | None:
        held, bid = slot.held, self.bid
        if held > 0:
            side, quantity = SELL, held
            price = max(slot.exit, bid + 1)
            away = price - bid - 1
        else:
            side, quantity = BUY, -held
            price = min(slot.exit, bid)
            away = bid - price
        if away > self._reach[side] or not self._least <= quantity <= self._most:
            return None
        if price <= 0 or price * quantity < self._least_notional:
            return None
        return (away, slot.birth, slot, side, CLOSE, price, quantity)

    def _emit(self, wanted: list[Wanted], at: int) -> None:
        if len(wanted) > 1:
            wanted.sort(key=_rank)
        for order in wanted:
            self._place(order, at)
        if (
            self._top - self._buys - self._slack >= self._lowest
            or self._bottom + self._sells + self._slack <= self._highest
        ):
            self._cancel(self._left_behind())
            self._tighten()

    def _place(self, wanted: Wanted, at: int) -> None:
        _, _, slot, side, kind, price, quantity = wanted
        if self._live >= self._cap:
            raise NotOrdinary("the cap on open orders binds")
        level, number = slot.level, self._count
        if slot.birth < 0:
            slot.birth = len(self.slots)
            self.slots[level] = slot
        if kind:
            self.waiting.remove(slot)
            if price != slot.exit:
                slot.off = True
                self.off += 1
        else:
            self._built[side] += quantity
            if side > 0:
                self._lowest = min(self._lowest, level)
            else:
                self._highest = max(self._highest, level)
        slot.state, slot.side, slot.kind = PENDING, side, kind
        slot.price, slot.left, slot.number = price, quantity, number
        self._count = number + 1
        self._live += 1
        self._rows.orders.extend(
            (level, side, kind, slot.cycle, price, quantity, at, -1, -1, ON_ITS_WAY)
        )
        self.requests.append(slot)

    def _cancel(self, slots: list[Slot]) -> None:
        if len(slots) > 1 and self._sells and self._buys:
            slots.sort(key=self._distance)
        for slot in slots:
            slot.state = DOOMED
            self.requests.append(slot)

    def _distance(self, slot: Slot) -> tuple[int, int]:
        away = self.bid - slot.price if slot.side == BUY else slot.price - self.bid - 1
        return away, -slot.side

    def _end(self, slot: Slot) -> None:
        slot.state = FREE
        slot.cycle += 1
        self._live -= 1
        if slot.off:
            slot.off = False
            self.off -= 1
        if self._bound is not None and slot.held:
            self.waiting.append(slot)

    def _keeps(self, slot: Slot) -> bool:
        if slot.side == BUY:
            return self._top - self._buys - self._slack < slot.level
        return slot.level < self._bottom + self._sells + self._slack

    def _tighten(self) -> None:
        """What was left behind is on its way out: nothing rests beyond the window any more."""
        if self._buys:
            self._lowest = max(self._lowest, self._top - self._buys - self._slack + 1)
        if self._sells:
            self._highest = min(self._highest, self._bottom + self._sells + self._slack - 1)

    def _quantity(self, level: int) -> tuple[int, bool]:
        known = self._quantities.get(level)
        if known is None:
            known = self._quantities[level] = self._scale.opening_quantity(level)
        return known


def _newly_below(before: int, top: int, depth: int) -> range:
    """The levels of a window of buys that were not in it before, nearest to the market first."""
    if top > before:
        return range(top, max(before, top - depth), -1)
    return range(min(before - depth, top), top - depth, -1)


def _newly_above(before: int, bottom: int, depth: int) -> range:
    """The levels of a window of sells that were not in it before, nearest to the market first."""
    if bottom < before:
        return range(bottom, min(before, bottom + depth))
    return range(max(before + depth, bottom), bottom + depth)


def _rank(wanted: Wanted) -> tuple[int, int]:
    return wanted[0], wanted[1]
