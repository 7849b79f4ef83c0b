"""Fills: what an update adds to an order, counted once, and what that does to a slot's holding.

An order's filled quantity has two witnesses: the cumulative quantity that every update reports, and
the executions, each with an id of its own. Either may come first, twice, or not at all, so the
filled quantity is the most that any of them has shown.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import Slot
from opensqt.core.numbers import EXACT, ZERO, divide, round_to
from opensqt.core.orders import Execution, Order, Purpose
from opensqt.core.values import replace

COST_STEP: Final = Decimal("1e-18")
"""Entry costs are split at this precision; the rest stays with what is held, so nothing is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFill:
    """What an update newly tells of an order's fills."""

    order: Order
    """The order with its new cumulative quantities; the very same if there is nothing new."""
    quantity: Decimal
    """Newly filled, in base; zero when all of it was counted before."""
    quote: Decimal
    """Paid or received for `quantity`, before fees."""
    correction: Decimal = ZERO
    """What is to be added to the quote of what was counted before: its price was inferred."""
    execution: Execution | None
    """The execution, if it was not counted before; it names the order by our id."""


def count_fill(order: Order, update: OrderUpdate) -> CountedFill:
    """Count what `update` newly tells; counting it again tells nothing.

    What filled and is of no execution yet has a price that was inferred. An execution takes its
    place at the price that it was really traded at, so once all of them are known the order's quote
    is their sum, exactly.
    """
    execution = update.execution
    if execution is not None and execution.execution_id in order.execution_ids:
        execution = None
    told = execution.quantity if execution else ZERO
    executed = order.executed_quantity + told
    most = max(order.filled_quantity, update.filled_quantity, executed)
    filled = min(most, order.quantity)
    quantity = filled - order.filled_quantity
    if execution is None and not quantity:
        return CountedFill(order=order, quantity=ZERO, quote=ZERO, execution=None)
    guess = _Guess.of(order)
    executed_quote = order.filled_quote - guess.quote + (execution.price * told if execution else 0)
    guess_after = _guess(order, update, filled, executed, executed_quote)
    filled_quote = executed_quote + guess_after.quote
    more = filled_quote - order.filled_quote
    quote = more if not guess.quantity else _new_quote(execution, quantity, guess_after)
    if not told:
        quote = more
    ids = order.execution_ids | {execution.execution_id} if execution else order.execution_ids
    return CountedFill(
        order=replace(
            order,
            filled_quantity=filled,
            filled_quote=filled_quote,
            executed_quantity=executed,
            executed_quote=executed_quote,
            execution_ids=ids,
        ),
        quantity=quantity,
        quote=quote if quantity else ZERO,
        correction=more - quote if quantity else more,
        execution=None if execution is None else _owned(execution, order),
    )


@dataclass(frozen=True, slots=True)
class _Guess:
    """What of an order's fills is of no known execution, and what it is taken to have cost."""

    quantity: Decimal
    quote: Decimal

    @classmethod
    def of(cls, order: Order) -> Self:
        quantity = order.filled_quantity - order.executed_quantity
        return cls(quantity, order.filled_quote - order.executed_quote if quantity else ZERO)


def _guess(
    order: Order, update: OrderUpdate, filled: Decimal, executed: Decimal, executed_quote: Decimal
) -> _Guess:
    """What fills without an execution cost: by the average, else as before, else the limit."""
    known, quantity = _Guess.of(order), filled - executed
    if quantity <= 0:
        return _Guess(ZERO, ZERO)
    if update.average_price and update.filled_quantity == filled:
        quote = round_to(EXACT.multiply(update.average_price, filled), COST_STEP) - executed_quote
        least = known.quote if update.execution is None else ZERO
        if quote > least:
            return _Guess(quantity, quote)
    if quantity <= known.quantity:
        return _Guess(quantity, _part(known.quote, quantity, known.quantity))
    price = order.price if update.execution is None else update.execution.price
    return _Guess(quantity, known.quote + price * (quantity - known.quantity))


def _new_quote(execution: Execution | None, quantity: Decimal, guess: _Guess) -> Decimal:
    """What `quantity` cost, which is newly filled: by its execution, the rest by the guess."""
    if execution is None:
        return ZERO
    covered = min(quantity, execution.quantity)
    rest = quantity - covered
    return execution.price * covered + (_part(guess.quote, rest, guess.quantity) if rest else ZERO)


def _owned(execution: Execution, order: Order) -> Execution:
    """Exchanges may name the order by their own id alone; ours is what a fill is counted under."""
    return replace(
        execution,
        client_oid=order.client_oid,
        exchange_order_id=execution.exchange_order_id or order.exchange_order_id,
        slot_price=order.slot_price,
    )


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


def repriced(slot: Slot, order: Order, counted: CountedFill) -> tuple[Slot, Decimal]:
    """The slot once the price of what was counted before is known, and what that earned.

    What the slot still holds of it costs more or less; what was closed since has earned less or
    more.
    """
    correction, before = counted.correction, counted.order.filled_quantity - counted.quantity
    if not correction or not before:
        return slot, ZERO
    held = max(ZERO, min(slot.position_qty * order.side.sign, before))
    in_cost = _part(correction, held, before)
    if slot.entry_cost + in_cost <= 0:
        in_cost = ZERO
    cost = slot.entry_cost + in_cost
    return replace(slot, entry_cost=cost), (in_cost - correction) * order.side.sign


def _part(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    if part == of:
        return whole
    return round_to(divide(EXACT.multiply(whole, part), of), COST_STEP)
