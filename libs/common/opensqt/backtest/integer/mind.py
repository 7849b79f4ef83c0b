"""`Mind`: what a grid decides, in whole numbers: `core.grid.strategy.plan`, one change at a time.

The plan of the core looks at the whole grid whenever it is asked. This one remembers that around
the price it heard last nothing is left to do, and looks only at what has changed since: a slot that
became free, the levels that the window newly covers, those that it has left behind. Where a bound
on the position makes what one level may have depend on the others, it looks at all of them, too.

The same orders in the same order come out as long as the cap on open orders does not bind; when it
would, that is `NotOrdinary`.
"""

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
        self._bound, self._skew = scale.max_position, grid.skew_levels
        self._live = self._count = self._position = 0
        self._built = {BUY: 0, SELL: 0}
        self._heard = False
        self._top = self._bottom = 0
        """The highest level that an opening buy may take, the lowest for an opening sell."""
        self._lowest, self._highest = 2**62, -(2**62)
        """No opening buy rests below, no opening sell above."""
        self._quantities: dict[int, tuple[int, bool]] = {}

    # --- what comes in ---------------------------------------------------------------------------

    def hear_price(self, bid: int, at: int) -> None:
        """The market moved."""
        first, top, bottom = not self._heard, self._top, self._bottom
        self._heard = True
        self.pass_price(bid)
        if self._bound is not None:
            self._decide(at)
            return
        if top == self._top and not self.waiting and not first:
            return
        if first:
            top, bottom = self._top - self._buys, self._bottom + self._sells
        wanted = [w for slot in self.waiting if (w := self._closing(slot))] if self.waiting else []
        if self._buys:
            self._cover_buys(top, wanted)
        if self._sells:
            self._cover_sells(bottom, wanted)
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

    def hear_placed(self, slot: Slot, at: int) -> None:
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
        low, high = -(2**62), 2**62
        for slot in self.waiting:
            if not self._least <= abs(slot.held) <= self._most:
                continue
            if slot.held > 0:
                high = min(high, slot.exit - self._reach[SELL] - 1)
            else:
                low = max(low, slot.exit + self._reach[BUY] + 1)
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
        found = []
        limit = self._top - self._buys - self._slack
        if self._buys and limit >= self._lowest:
            for level in range(limit, self._lowest - 1, -1):
                slot = self.slots.get(level)
                if slot and slot.state == RESTING and not slot.kind and slot.side == BUY:
                    found.append(slot)
        limit = self._bottom + self._sells + self._slack
        if self._sells and limit <= self._highest:
            for level in range(limit, self._highest + 1):
                slot = self.slots.get(level)
                if slot and slot.state == RESTING and not slot.kind and slot.side == SELL:
                    found.append(slot)
        return found

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
        if slot.held:
            self.waiting.append(slot)
            wanted = self._closing(slot)
        elif self._top - self._buys < slot.level <= self._top:
            wanted = self._opening(slot.level, BUY) if self._free(slot.level) else None
        elif self._bottom <= slot.level < self._bottom + self._sells:
            wanted = self._opening(slot.level, SELL) if self._free(slot.level) else None
        else:
            return
        if wanted:
            self._emit([wanted], at)

    def _cover_buys(self, before: int, wanted: list[Wanted]) -> None:
        top, depth = self._top, self._buys
        if top > before:
            levels = range(top, max(before, top - depth), -1)
        else:
            levels = range(min(before - depth, top), top - depth, -1)
        for level in levels:
            if self._free(level):
                wanted.append(self._opening(level, BUY))

    def _cover_sells(self, before: int, wanted: list[Wanted]) -> None:
        bottom, depth = self._bottom, self._sells
        if bottom < before:
            levels = range(bottom, min(before, bottom + depth))
        else:
            levels = range(max(before + depth, bottom), bottom + depth)
        for level in levels:
            if self._free(level):
                wanted.append(self._opening(level, SELL))

    def _free(self, level: int) -> bool:
        """Whether a level of the window wants an opening order."""
        slot = self.slots.get(level)
        if slot is not None and (slot.held or slot.state):
            return False
        return self._anchor + level * self._interval > 0 and self._quantity(level)[1]

    # --- orders ----------------------------------------------------------------------------------

    def _opening(self, level: int, side: int) -> Wanted:
        price = self._anchor + level * self._interval
        distance = self.bid - price if side == BUY else price - self.bid - 1
        slot = self.slots.get(level)
        if slot is None:
            slot = Slot(level, -1)
        return (max(distance, 0), 2**62 - side, slot, side, OPEN, price, self._quantity(level)[0])

    def _closing(self, slot: Slot) -> Wanted | None:
        quantity, bid = slot.held, self.bid
        price = slot.exit
        if quantity > 0:
            if price <= bid:
                price = bid + 1
            if price - bid - 1 > self._reach[SELL] or not self._least <= quantity <= self._most:
                return None
            return (price - bid - 1, slot.birth, slot, SELL, CLOSE, price, quantity)
        if price > bid:
            price = bid
        if bid - price > self._reach[BUY] or not self._least <= -quantity <= self._most:
            return None
        if price <= 0:
            return None
        return (bid - price, slot.birth, slot, BUY, CLOSE, price, -quantity)

    def _emit(self, wanted: list[Wanted], at: int) -> None:
        if len(wanted) > 1:
            wanted.sort(key=_rank)
        if self._live + len(wanted) > self._cap:
            raise NotOrdinary("the cap on open orders binds")
        for _, _, slot, side, kind, price, quantity in wanted:
            self._place(slot, side, kind, price, quantity, at)
        behind = self._left_behind()
        if behind:
            self._cancel(behind)
            self._tighten()

    def _place(self, slot: Slot, side: int, kind: int, price: int, quantity: int, at: int) -> None:
        if slot.birth < 0:
            slot.birth = len(self.slots)
            self.slots[slot.level] = slot
        if kind:
            self.waiting.remove(slot)
            if price != slot.exit:
                slot.off = True
                self.off += 1
        else:
            self._built[side] += quantity
            if side == BUY:
                self._lowest = min(self._lowest, slot.level)
            else:
                self._highest = max(self._highest, slot.level)
        slot.state, slot.side, slot.kind = PENDING, side, kind
        slot.price, slot.left, slot.number = price, quantity, self._count
        self._count += 1
        self._live += 1
        self._rows.orders.extend(
            (slot.level, side, kind, slot.cycle, price, quantity, at, -1, -1, ON_ITS_WAY)
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


def _rank(wanted: Wanted) -> tuple[int, int]:
    return wanted[0], wanted[1]
