"""The referee: what is wrong when the exchange's books and ours are laid side by side.

Pure. The exchange is right by definition: what it took and executed is what happened.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from chaos.books import ExchangeOrder, Ours, Theirs
from opensqt.core.grid.book import SlotStatus, Standing
from opensqt.core.identifiers import parse_order_id
from opensqt.core.numbers import ZERO, plain
from opensqt.core.orders import Order, OrderStatus


class Kind(StrEnum):
    """What can be wrong."""

    DOUBLED = "doubled order"
    """The exchange took more than one order under one client order id."""
    LOST = "lost fill"
    """The exchange executed something that the slots do not have."""
    INVENTED = "invented fill"
    """The slots have something that the exchange did not execute, or have it twice."""
    STUCK = "stuck slot"
    """An order's result is not proven, or a slot waits for an order that has ended."""
    UNKNOWN = "unknown order"
    """An order on the exchange that no slot of ours has, or has otherwise."""
    MONEY = "wrong money"
    """Profit or fees are not those of the executions."""
    HALTED = "halted"
    """The bot stopped, though nobody stopped it and no order was forced."""
    SILENT = "no trading"
    """Trading did not go on in time, or a process did not come back."""
    UNREADABLE = "no books"
    """The books could not be read in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.kind}: {self.text}"


NEVER_THERE = (OrderStatus.REJECTED, OrderStatus.NOT_PLACED)


def judge(ours: Ours, theirs: Theirs) -> tuple[Finding, ...]:
    """Everything that is wrong; empty when the books agree to the last digit."""
    return (
        *_orders_beyond_their_intents(ours, theirs),
        *_orders_of_ours(ours, theirs),
        *_executions(ours, theirs),
        *_slots(ours, theirs),
        *_money(ours, theirs),
    )


def _orders_beyond_their_intents(ours: Ours, theirs: Theirs) -> Iterator[Finding]:
    known = {order.client_oid for order in ours.orders}
    for client_oid, times in Counter(order.client_oid for order in theirs.orders).items():
        if times > 1:
            text = f"{client_oid}: the exchange took {times} orders"
            yield Finding(kind=Kind.DOUBLED, text=text)
    for order in theirs.orders:
        if order.client_oid in known:
            continue
        if order.executed:
            text = f"{order.client_oid} executed {plain(order.executed)}, and no slot knows it"
            yield Finding(kind=Kind.LOST, text=text)
        if order.open:
            text = f"{order.client_oid} is open, and no slot has it"
            yield Finding(kind=Kind.UNKNOWN, text=text)
        elif not order.executed and not _of_a_lost_ledger(order, ours):
            text = f"{order.client_oid} was taken, and the ledger never meant it"
            yield Finding(kind=Kind.UNKNOWN, text=text)


def _of_a_lost_ledger(order: ExchangeOrder, ours: Ours) -> bool:
    """Whether it ended without a trace before the ledger began: then nobody needs to know it."""
    parsed = parse_order_id(order.client_oid)
    return parsed is not None and parsed.epoch < ours.grid.identity.epoch


def _orders_of_ours(ours: Ours, theirs: Theirs) -> Iterator[Finding]:
    there = {order.client_oid: order for order in theirs.orders}
    for order in ours.orders:
        if not order.settled:
            cancel = ", a cancel is in doubt" if order.cancel_requested else ""
            text = f"{order.client_oid} is {order.status}{cancel}"
            yield Finding(kind=Kind.STUCK, text=text)
        found = there.get(order.client_oid)
        if found is None:
            if order.status not in NEVER_THERE and order.settled:
                text = f"{order.client_oid} is {order.status}, and the exchange never took it"
                yield Finding(kind=Kind.STUCK, text=text)
            continue
        yield from _one_order(order, found)


def _one_order(order: Order, found: ExchangeOrder) -> Iterator[Finding]:
    name = order.client_oid
    if (order.price, order.quantity) != (found.price, found.quantity):
        text = f"{name}: meant {plain(order.quantity)} at {plain(order.price)}, taken otherwise"
        yield Finding(kind=Kind.UNKNOWN, text=text)
    if order.filled_quantity < found.executed:
        text = f"{name} executed {plain(found.executed)}, counted {plain(order.filled_quantity)}"
        yield Finding(kind=Kind.LOST, text=text)
    elif order.filled_quantity > found.executed:
        text = f"{name} executed {plain(found.executed)}, counted {plain(order.filled_quantity)}"
        yield Finding(kind=Kind.INVENTED, text=text)
    if order.status.resting and not found.open:
        text = f"{name} is {order.status}, on the exchange it is {found.status}"
        yield Finding(kind=Kind.STUCK, text=text)
    elif order.status.terminal and found.open:
        text = f"{name} is {order.status}, on the exchange it is open"
        yield Finding(kind=Kind.UNKNOWN, text=text)


def _executions(ours: Ours, theirs: Theirs) -> Iterator[Finding]:
    counted = Counter(execution.execution_id for execution in ours.executions)
    happened = {fill.execution_id: fill for fill in theirs.fills}
    for execution_id in happened.keys() - counted.keys():
        fill = happened[execution_id]
        text = f"execution {execution_id} of {plain(fill.quantity)} was not counted"
        yield Finding(kind=Kind.LOST, text=text)
    for execution_id, times in counted.items():
        if execution_id not in happened:
            text = f"execution {execution_id} was counted, and never happened"
            yield Finding(kind=Kind.INVENTED, text=text)
        elif times > 1:
            text = f"execution {execution_id} was counted {times} times"
            yield Finding(kind=Kind.INVENTED, text=text)


def _slots(ours: Ours, theirs: Theirs) -> Iterator[Finding]:
    grid = ours.grid
    if grid.standing is Standing.HALTED:
        yield Finding(kind=Kind.HALTED, text=grid.standing_reason)
    elif grid.standing is Standing.RECONCILING:
        yield Finding(kind=Kind.STUCK, text="the grid is still being reconciled")
    if grid.position != theirs.position:
        text = f"the slots hold {plain(grid.position)}, the exchange {plain(theirs.position)}"
        yield Finding(kind=Kind.LOST, text=text)
    executed = {order.client_oid: order.executed for order in theirs.orders}
    held: defaultdict[Decimal, Decimal] = defaultdict(Decimal)
    for order in ours.orders:
        held[order.slot_price] += order.side.sign * executed.get(order.client_oid, ZERO)
    for price, slot in sorted(grid.slots.items()):
        if slot.status is SlotStatus.PENDING:
            yield Finding(kind=Kind.STUCK, text=f"slot {plain(price)} is PENDING")
        if slot.position_qty != held[price]:
            text = (
                f"slot {plain(price)} holds {plain(slot.position_qty)}, "
                f"its orders executed {plain(held[price])}"
            )
            kind = Kind.LOST if abs(slot.position_qty) < abs(held[price]) else Kind.INVENTED
            yield Finding(kind=kind, text=text)


def _money(ours: Ours, theirs: Theirs) -> Iterator[Finding]:
    """What trading brought in is the profit that was realised, less what was paid for holdings."""
    totals, slots = ours.grid.totals, ours.grid.slots.values()
    paid = sum((s.entry_cost if s.position_qty > 0 else -s.entry_cost for s in slots), ZERO)
    brought_in = -sum((fill.side.sign * fill.price * fill.quantity for fill in theirs.fills), ZERO)
    if totals.realised_pnl - paid != brought_in:
        text = (
            f"realised {plain(totals.realised_pnl)} less {plain(paid)} held is not the "
            f"{plain(brought_in)} that trading brought in"
        )
        yield Finding(kind=Kind.MONEY, text=text)
    fees = sum((fill.fee for fill in theirs.fills), ZERO)
    if totals.fees != fees:
        text = f"fees {plain(totals.fees)}, the exchange took {plain(fees)}"
        yield Finding(kind=Kind.MONEY, text=text)
