"""Fills: what an update adds to an order, counted once, and what that does to a slot's holding.

An order's filled quantity has two witnesses: the cumulative quantity that every update reports, and
the executions, each with an id of its own. Either may come first, twice, or not at all, so the
filled quantity is the most that any of them has shown.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Self

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import Slot
from opensqt.core.numbers import EXACT, ZERO, divide, round_to
from opensqt.core.orders import Execution, Order, Purpose

COST_STEP: Final = Decimal("1e-18")
"""Entry costs are split at this precision; the rest stays with what is held, so nothing is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFill:
    """What an update newly tells of an order's fills."""

    order: Order
    """The order with its new cumulative quantities."""
    quantity: Decimal
    """Newly filled, in base; zero when all of it was counted before."""
    quote: Decimal
    """Paid or received for `quantity`, before fees."""
    execution: Execution | None
    """The execution, if it was not counted before; it names the order by our id."""


def count_fill(order: Order, update: OrderUpdate) -> CountedFill:
    """Count what `update` newly tells; counting it again tells nothing."""
    execution = update.execution
    if execution is not None and execution.execution_id in order.execution_ids:
        execution = None
    executed = order.executed_quantity + (execution.quantity if execution else ZERO)
    most = max(order.filled_quantity, update.filled_quantity, executed)
    filled = min(most, order.quantity)
    quantity = filled - order.filled_quantity
    quote = _quote(order, update, execution, quantity) if quantity else ZERO
    ids = order.execution_ids | {execution.execution_id} if execution else order.execution_ids
    return CountedFill(
        order=replace(
            order,
            filled_quantity=filled,
            filled_quote=order.filled_quote + quote,
            executed_quantity=executed,
            execution_ids=ids,
        ),
        quantity=quantity,
        quote=quote,
        execution=None if execution is None else _owned(execution, order),
    )


def _owned(execution: Execution, order: Order) -> Execution:
    """Exchanges may name the order by their own id alone; ours is what a fill is counted under."""
    return replace(
        execution,
        client_oid=order.client_oid,
        exchange_order_id=execution.exchange_order_id or order.exchange_order_id,
        slot_price=order.slot_price,
    )


def _quote(
    order: Order, update: OrderUpdate, execution: Execution | None, quantity: Decimal
) -> Decimal:
    """What `quantity` cost: by its execution, else by the average price, else by the limit."""
    if execution is not None and execution.quantity == quantity:
        return execution.price * quantity
    if update.average_price:
        total = update.average_price * (order.filled_quantity + quantity)
        if total > order.filled_quote:
            return total - order.filled_quote
    return (execution.price if execution is not None else order.price) * quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a slot holds after a fill, and what the fill earned."""

    quantity: Decimal
    cost: Decimal
    exit_price: Decimal | None
    realised: Decimal

    @classmethod
    def after(cls, slot: Slot, order: Order, counted: CountedFill) -> Self:
        """Net a fill against what the slot holds.

        Closing realises proceeds minus the part of the entry cost that is closed; the parts add
        up to the cost exactly, whatever the rounding. A late fill may close more than is held; it
        then opens the other way, because that is what the account now holds.
        """
        held, cost = slot.position_qty, slot.entry_cost
        if not counted.quantity:  # an execution that tells the fee of what was counted before
            return cls(quantity=held, cost=cost, exit_price=slot.exit_price, realised=ZERO)
        signed = counted.quantity * order.side.sign
        opening_exit = order.exit_price if order.purpose is Purpose.OPEN else None
        if held * signed >= 0:
            return cls(
                quantity=held + signed,
                cost=cost + counted.quote,
                exit_price=slot.exit_price if opening_exit is None else opening_exit,
                realised=ZERO,
            )
        closed = min(counted.quantity, abs(held))
        closed_cost = _part(cost, closed, abs(held))
        closed_quote = _part(counted.quote, closed, counted.quantity)
        gain = closed_quote - closed_cost
        left = held + signed
        return cls(
            quantity=left,
            cost=cost - closed_cost + counted.quote - closed_quote,
            exit_price=slot.exit_price if left * held > 0 else opening_exit if left else None,
            realised=gain if held > 0 else -gain,
        )


def _part(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    if part == of:
        return whole
    return round_to(divide(EXACT.multiply(whole, part), of), COST_STEP)
