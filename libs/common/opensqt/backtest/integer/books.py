"""`Books`: the orders that rest on the exchange, in whole numbers, as `core.exchange.book` does it.

The same orders fill by the same quantities in the same order: the bids first, each side by price
and then by time, by trades that go through an order's price, and by trades at it as far as
`MarketRules` assumes. Quantities of the market are in `Sizes`, those of orders in steps.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from opensqt.backtest.integer.scale import Scale, counted
from opensqt.backtest.integer.slots import BUY, Slot
from opensqt.backtest.tape import Tape
from opensqt.core.exchange.rules import Touch

Entry = tuple[int, int, Slot]
"""Price (of an ask: negated), negated serial, slot: the next to fill comes last."""
Filled = list[tuple[Slot, int]]
"""What filled, and by how many steps, in the order in which it did."""

UNKNOWN: Final = -1
"""How much is ahead of an order is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What quantities of orders and of the market are both counted in, exactly."""

    per_step: int
    per_tape_unit: int
    depth: int
    """`MarketRules.assumed_depth`."""

    @classmethod
    def of(cls, scale: Scale, tape: Tape) -> Self:
        """In the coarsest power of ten that all of them are multiples of."""
        numbers = (scale.instrument.step_size, tape.quantity_unit, scale.rules.assumed_depth)
        finest = min(int(number.as_tuple().exponent) for number in numbers)
        step, unit, depth = (counted(n, Decimal((0, (1,), finest)), "size") for n in numbers)
        return cls(per_step=step, per_tape_unit=unit, depth=depth)


class Books:
    """Both sides.

    Args:
        scale: The grid.
        sizes: In what the market is counted.
    """

    __slots__ = ("_bounded", "_serial", "_sizes", "_touch", "asks", "bids")

    def __init__(self, scale: Scale, sizes: Sizes) -> None:
        self.bids: list[Entry] = []
        self.asks: list[Entry] = []
        self._serial = 0
        self._sizes = sizes
        self._touch, self._bounded = scale.rules.touch, scale.rules.bounded

    @property
    def simple(self) -> bool:
        """An order fills whole when a trade goes through it, and never otherwise."""
        return self._touch is Touch.NEVER and not self._bounded

    @property
    def near(self) -> tuple[int, int]:
        """The prices at or beyond which a trade may change something."""
        margin = {Touch.NEVER: -1, Touch.AT_ONCE: 0, Touch.QUEUE: 1}[self._touch]
        low = self.bids[-1][0] + margin if self.bids else -(2**62)
        high = -self.asks[-1][0] - margin if self.asks else 2**62
        return low, high

    def rest(self, slot: Slot, bid: int) -> None:
        """Put an order behind those at its price; `bid` is the best one, the ask a tick above."""
        self._serial = serial = self._serial + 1
        slot.serial = serial
        if slot.side > 0:
            insort(self.bids, (slot.price, -serial, slot))
        else:
            insort(self.asks, (-slot.price, -serial, slot))
        if self._touch is Touch.QUEUE:
            best = bid if slot.side == BUY else bid + 1
            slot.ahead = self._sizes.depth if slot.price == best else UNKNOWN
        else:
            slot.ahead = 0

    def remove(self, slot: Slot) -> None:
        """Take an order out."""
        side, key = (self.bids, slot.price) if slot.side == BUY else (self.asks, -slot.price)
        del side[bisect_left(side, (key, -slot.serial))]

    def through(self, price: int) -> Filled:
        """Let a trade happen that fills whole what it goes through: `simple` books."""
        filled = []
        side = self.bids
        while side and side[-1][0] > price:
            slot = side.pop()[2]
            filled.append((slot, slot.left))
            slot.left = 0
        side = self.asks
        while side and side[-1][0] > -price:
            slot = side.pop()[2]
            filled.append((slot, slot.left))
            slot.left = 0
        return filled

    def trade(self, price: int, *, hits_bid: bool, quantity: int) -> Filled:
        """Let a trade of so many units of the tape happen."""
        quantity *= self._sizes.per_tape_unit
        if self._touch is Touch.QUEUE:
            bid = price if hits_bid else price - 1
            self._correct(self.bids, bid)
            self._correct(self.asks, -(bid + 1))
        return self._side(self.bids, price, quantity, hits=hits_bid) + self._side(
            self.asks, -price, quantity, hits=not hits_bid
        )

    def _correct(self, side: list[Entry], best: int) -> None:
        """Nobody ahead can be more than is shown."""
        for key, _, slot in reversed(side):
            if key < best:
                return
            shown = self._sizes.depth if key == best else 0
            if slot.ahead == UNKNOWN or slot.ahead > shown:
                slot.ahead = shown

    def _side(self, side: list[Entry], key: int, quantity: int, *, hits: bool) -> Filled:
        if not side or side[-1][0] < key:
            return []
        filled: Filled = []
        left, consumed = quantity, 0
        for price, _, slot in reversed(side):
            first = True
            if price > key:
                slot.ahead = 0
            elif price < key or not hits or self._touch is Touch.NEVER:
                break
            elif slot.ahead == UNKNOWN:
                continue
            else:
                first = not slot.ahead
                step = min(left, max(slot.ahead - consumed, 0))
                consumed += step
                left -= step
                slot.ahead = max(slot.ahead - consumed, 0)
            if left > 0 or (first and not self._bounded):
                left -= self._fill(slot, left, filled)
        for slot, _ in filled:
            if not slot.left:
                self.remove(slot)
        return filled

    def _fill(self, slot: Slot, left: int, filled: Filled) -> int:
        """Let a trade fill an order; what that takes of the trade."""
        steps = slot.left
        if self._bounded:
            steps = min(left // self._sizes.per_step, steps)
        if steps:
            slot.left -= steps
            filled.append((slot, steps))
        return steps * self._sizes.per_step if self._bounded else 0
