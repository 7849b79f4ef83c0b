"""`Hand`: the orders of a grid, in whole numbers: what a level would have, what is sent, what ends.

It knows what the grid's windows are, and nothing of when to look at them: that is `Mind`'s.
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


class Hand:
    """The orders of one grid.

    Args:
        scale: The grid.
        rows: Where its orders are written down.
    """

    __slots__ = (
        "_anchor",
        "_bottom",
        "_bound",
        "_built",
        "_buys",
        "_cap",
        "_count",
        "_heard",
        "_highest",
        "_interval",
        "_least",
        "_least_notional",
        "_live",
        "_lowest",
        "_most",
        "_position",
        "_quantities",
        "_reach",
        "_rows",
        "_scale",
        "_sells",
        "_skew",
        "_slack",
        "_top",
        "bid",
        "blocked",
        "off",
        "requests",
        "slots",
        "waiting",
    )

    def __init__(self, scale: Scale, rows: Rows) -> None:
        grid, direction = scale.grid, scale.identity.direction
        self.requests: list[Slot] = []
        """What is to be sent: orders of the PENDING, cancels of the DOOMED."""
        self.slots: dict[int, Slot] = {}
        self.waiting: list[Slot] = []
        """Those that hold something and have no closing order yet."""
        self.blocked: list[Slot] = []
        """Those whose order was refused, and that wait."""
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

    # --- the windows ---------------------------------------------------------------------------

    def _look_from(self, cell: int) -> None:
        """Put the windows around a cell of the market."""
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

    def _free(self, level: int) -> bool:
        """Whether a level of a window wants an opening order."""
        slot = self.slots.get(level)
        if slot is not None and (slot.held or slot.state or slot.blocked_ns):
            return False
        return (self._quantities.get(level) or self._quantity(level))[1]

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
        found = []
        for level in levels:
            slot = self.slots.get(level)
            if slot and slot.state == RESTING and not slot.kind and slot.side == side:
                found.append(slot)
        return found

    # --- orders ----------------------------------------------------------------------------------

    def _opening(self, level: int, side: int) -> Wanted | None:
        """The opening order of a level of a window, if it wants one."""
        slot = self.slots.get(level)
        if slot is None:
            slot = Slot(level, -1)
        elif slot.held or slot.state or slot.blocked_ns:
            return None
        quantity, taken = self._quantities.get(level) or self._quantity(level)
        if not taken:
            return None
        price = self._anchor + level * self._interval
        away = self.bid - price if side > 0 else price - self.bid - 1
        if away < 0:  # noqa: PLR1730  # a call of max() shows here: nothing is done more often
            away = 0
        return (away, FAR - side, slot, side, OPEN, price, quantity)

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
        if slot.blocked_ns:
            return None
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
        slot.state, slot.side, slot.kind = PENDING, side, kind
        slot.price, slot.left, slot.number = price, quantity, number
        self._count = number + 1
        self._live += 1
        self._rows.orders.extend(
            (level, side, kind, slot.cycle, price, quantity, at, -1, -1, ON_ITS_WAY)
        )
        self.requests.append(slot)

    def _cancel(self, slots: list[Slot]) -> None:
        if self._sells and self._buys and len(slots) > 1:
            slots.sort(key=self._distance)
        for slot in slots:
            slot.state = DOOMED
            self.requests.append(slot)

    def _distance(self, slot: Slot) -> tuple[int, int]:
        away = self.bid - slot.price if slot.side == BUY else slot.price - self.bid - 1
        return away, -slot.side

    def _end(self, slot: Slot) -> None:
        slot.state = FREE
        slot.refusals = 0
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
        lowest = self._top - self._buys - self._slack + 1
        if self._buys and lowest > self._lowest:
            self._lowest = lowest
        highest = self._bottom + self._sells + self._slack - 1
        if self._sells and highest < self._highest:
            self._highest = highest

    def _quantity(self, level: int) -> tuple[int, bool]:
        """How many steps an opening order at a level has, and whether the exchange takes it."""
        known = self._quantities.get(level)
        if known is None:
            positive = self._anchor + level * self._interval > 0
            known = self._scale.opening_quantity(level) if positive else (0, False)
            self._quantities[level] = known
        return known


def _rank(wanted: Wanted) -> tuple[int, int]:
    return wanted[0], wanted[1]
