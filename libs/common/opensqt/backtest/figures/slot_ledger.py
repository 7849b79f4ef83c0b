"""What each slot of a grid earned, from the fills of a result alone.

The rules are those of `core/grid/fills.py`: a fill on the side of the holding adds to its cost, one
against it realises its part of the proceeds less its part of the cost, parts are rounded to
`COST_STEP` and what rounding leaves stays with the holding. Here they are computed in whole numbers
of `SlotLedger.unit`, since a run has many fills; nothing is ever rounded that is not rounded there.

What the exchange closed by force is shared out as `core/grid/forced.py` does it, worst entry first.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from opensqt.backtest.rounding import half_even
from opensqt.core.grid.fills import COST_STEP
from opensqt.core.numbers import EXACT

_COST_DIGITS: Final = -int(COST_STEP.as_tuple().exponent)


@dataclass(slots=True, kw_only=True)
class SlotAccount:
    """One slot, counted; quantities in steps, money in the ledger's unit."""

    held: int = 0
    """Signed."""
    cost: int = 0
    """Paid (long) or received (short) for what is held; never negative."""
    realised: int = 0
    """Of what the grid itself closed, before fees."""
    forced: int = 0
    """Of what the exchange closed, before fees."""
    fills: int = 0
    bought: int = 0
    sold: int = 0
    round_trips: int = 0
    """How often an order of the grid left the slot empty."""
    fees: int = 0
    """Of the grid's own fills, in the bot's money unit."""


class SlotLedger:
    """The slots of one bot.

    Args:
        tick: What prices are counted in.
        step: What quantities are counted in.
    """

    def __init__(self, *, tick: Decimal, step: Decimal) -> None:
        worth = EXACT.multiply(tick, step)
        digits = max(-int(worth.as_tuple().exponent), _COST_DIGITS)
        self.unit = Decimal((0, (1,), -digits))
        """What money is counted in, in quote: divides both `COST_STEP` and a step at a tick."""
        self._worth = int(EXACT.divide(worth, self.unit))
        self._quantum: int = 10 ** (digits - _COST_DIGITS)
        self.slots: dict[int, SlotAccount] = {}
        """By level number."""

    def fill(self, level: int, signed: int, price: int, *, fee: int) -> int:
        """Count a fill of one of the grid's own orders.

        Args:
            level: The slot's level.
            signed: Quantity in steps; negative is sold.
            price: In ticks.
            fee: In the bot's money unit.

        Returns:
            What it realised.
        """
        slot = self.slots.setdefault(level, SlotAccount())
        slot.fills += 1
        slot.fees += fee
        if signed > 0:
            slot.bought += signed
        else:
            slot.sold -= signed
        held = slot.held
        gained = self._net(slot, signed, price)
        slot.realised += gained
        slot.round_trips += bool(held) and not slot.held
        return gained

    def force(self, signed: int, price: int) -> int:
        """Count a fill of an order that the exchange made, sharing it out among the slots.

        Returns:
            What it realised.
        """
        sign = 1 if signed > 0 else -1
        against = [slot for _, slot in sorted(self.slots.items()) if slot.held * sign < 0]
        # A sale closes longs, of which the dearest is the worst; a purchase closes shorts.
        against.sort(key=lambda slot: sign * Fraction(slot.cost, abs(slot.held)))
        left, gained = abs(signed), 0
        for slot in against:
            quantity = min(left, abs(slot.held))
            if quantity:
                part = self._net(slot, sign * quantity, price)
                slot.forced += part
                gained += part
                left -= quantity
        assert not left, "the exchange closed more than the slots held"
        return gained

    def _net(self, slot: SlotAccount, signed: int, price: int) -> int:
        """Net a fill against the slot's holding; what it realised."""
        quantity, held, cost = abs(signed), slot.held, slot.cost
        quote = quantity * price * self._worth
        if held * signed >= 0:
            slot.held, slot.cost = held + signed, cost + quote
            return 0
        closed = min(quantity, abs(held))
        closed_cost = self._part(cost, closed, abs(held))
        closed_quote = self._part(quote, closed, quantity)
        slot.held = held + signed
        slot.cost = cost - closed_cost + quote - closed_quote
        gain = closed_quote - closed_cost
        return gain if held > 0 else -gain

    def _part(self, whole: int, part: int, of: int) -> int:
        if part == of:
            return whole
        return half_even(whole * part, of * self._quantum) * self._quantum
