"""`Mind`: what a grid decides, in whole numbers: `core.grid.strategy.plan`, one change at a time.

The plan of the core looks at the whole grid whenever it is asked. This one remembers that around
the price it heard last nothing is left to do, and looks only at what has changed since: a slot that
became free, the levels that the window newly covers, those that it has left behind. Where a bound
on the position makes what one level may have depend on the others, it looks at all of them, too.

The same orders in the same order come out as long as the cap on open orders does not bind; when it
would, that is `NotOrdinary`.
"""

from opensqt.backtest.integer.hand import FAR, Hand, Wanted
from opensqt.backtest.integer.slots import BUY, RESTING, SELL, Slot
from opensqt.core.grid.draft import BACKOFF_FIRST_NS, BACKOFF_MAX_NS


class Mind(Hand):
    """Decides for one grid."""

    __slots__ = ()

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
        wanted: list[Wanted] = []
        if self.waiting:
            wanted = [w for slot in self.waiting if (w := self._closing(slot))]
        if self._buys:
            levels = _newly_below(before, top, self._buys)
            wanted += [w for level in levels if (w := self._opening(level, BUY))]
        if self._sells:
            levels = _newly_above(before + 1, top + 1, self._sells)
            wanted += [w for level in levels if (w := self._opening(level, SELL))]
        self._emit(wanted, at)

    def pass_price(self, bid: int) -> None:
        """The market moved to where nothing is to be decided."""
        self.bid = bid
        self._look_from((bid - self._anchor) // self._interval)

    def hear_fill(self, slot: Slot, quantity: int, at: int) -> None:
        """An order filled, in part or whole."""
        signed = quantity * slot.side
        slot.held += signed
        self._position += signed
        slot.refusals = 0
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
        if slot.kind:
            return
        if not self._keeps(slot):
            self._cancel([slot])
        elif slot.level < self._lowest and slot.side > 0:
            self._lowest = slot.level
        elif slot.level > self._highest and slot.side < 0:
            self._highest = slot.level

    def hear_refused(self, slot: Slot, at: int, now_ns: int) -> None:
        """The exchange did not take an order: its slot waits, longer with every refusal."""
        refusals = slot.refusals + 1
        if not slot.kind:
            self._built[slot.side] -= slot.left
        self._end(slot)
        slot.refusals = refusals
        slot.blocked_ns = now_ns + min(BACKOFF_FIRST_NS << min(refusals - 1, 16), BACKOFF_MAX_NS)
        self.blocked.append(slot)
        if self._bound is not None:
            self._decide(at)
        elif slot.held:
            self.waiting.append(slot)

    def wake(self, at: int, now_ns: int) -> None:
        """The wait of a slot is over."""
        ready = [slot for slot in self.blocked if slot.blocked_ns <= now_ns]
        self.blocked = [slot for slot in self.blocked if slot.blocked_ns > now_ns]
        for slot in ready:
            slot.blocked_ns = 0
        if self._bound is not None:
            self._decide(at)
            return
        wanted = [w for slot in self.waiting if (w := self._closing(slot))]
        wanted += [w for slot in ready if not slot.held and (w := self._reopening(slot))]
        self._emit(wanted, at)

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
        if depth := self._buys:
            if level - depth - self._slack >= self._lowest:
                return False
            if self._free(level) or self._free(level - depth):
                return False
        if depth := self._sells:
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
            if slot.blocked_ns or not self._least <= quantity <= self._most:
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
        self._look_from(cell)
        quiet = not self._openings() and not self._left_behind()
        self._top, self._bottom = around
        return quiet

    # --- all of it -------------------------------------------------------------------------------

    def _decide(self, at: int) -> None:
        self._look_from((self.bid - self._anchor) // self._interval)
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
                if slot is not None and (slot.held or slot.state or slot.blocked_ns):
                    continue
                if self._anchor + level * self._interval <= 0:
                    continue
                quantity, taken = self._quantity(level)
                if self._bound is not None and built + quantity > self._bound:
                    break
                order = self._opening(level, side) if taken else None
                if order:
                    built += quantity
                    found.append(order)
        return found

    # --- what has changed ------------------------------------------------------------------------

    def _look_at(self, slot: Slot, at: int) -> None:
        """A slot became free."""
        if slot.held:
            self.waiting.append(slot)
            wanted = self._closing(slot)
        else:
            wanted = self._reopening(slot)
        if wanted:
            self._place(wanted, at)

    def _reopening(self, slot: Slot) -> Wanted | None:
        """The opening order of a slot that is free and empty, if it is inside a window."""
        level = slot.level
        if self._top - self._buys < level <= self._top:
            return self._opening(level, BUY)
        if self._bottom <= level < self._bottom + self._sells:
            return self._opening(level, SELL)
        return None


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
