"""What is true of every grid's book, whatever has happened.

Asserted of what is about to be written, and of what was read: a book that breaks one of these was
made by a bug or damaged outside, and trading on it would make it worse.
"""

from collections.abc import Iterable

from opensqt.core.grid.book import GridBook, Slot, SlotStatus, Standing
from opensqt.core.numbers import ZERO, plain
from opensqt.core.orders import Order, OrderStatus


def book_problem(book: GridBook) -> str:
    """What is wrong with a book; empty when nothing is."""
    lattice = book.identity.lattice
    for price, slot in book.slots.items():
        if price != slot.price or not lattice.contains(price):
            return f"{_name(slot)} lies at {plain(price)}, off the grid"
        if slot.order is not None and book.orders.get(slot.order.client_oid) != slot.order:
            return f"{_name(slot)} has an order {slot.order.client_oid} that the book has not"
    if problem := change_problem(book.slots.values(), book.orders.values()):
        return problem
    for order in book.orders.values():
        owner = book.slots.get(order.slot_price)
        if not order.status.terminal and (owner is None or owner.order is None):
            return f"order {order.client_oid} is {order.status}, and no slot has a live order there"
    if book.strays is not None and book.strays != book.find_strays():
        return f"the orders {sorted(book.strays)} are said to stray"
    halted, why = book.standing is Standing.HALTED, bool(book.standing_reason)
    if halted is not why and book.standing is not Standing.RECONCILING:
        return f"the grid is {book.standing} for the reason {book.standing_reason!r}"
    return ""


def change_problem(slots: Iterable[Slot], orders: Iterable[Order]) -> str:
    """What is wrong with slots and orders by themselves; empty when nothing is."""
    for slot in slots:
        if problem := _slot_problem(slot):
            return f"{_name(slot)} {problem}"
    for order in orders:
        if problem := _order_problem(order):
            return f"order {order.client_oid} {problem}"
    return ""


def _slot_problem(slot: Slot) -> str:
    order = slot.order
    if order is None:
        expected = SlotStatus.FREE
    elif order.status.resting:
        expected = SlotStatus.LOCKED
    else:
        expected = SlotStatus.PENDING
    if slot.status is not expected:
        return f"is {slot.status} with {'no order' if order is None else order.status}"
    if order is not None and (order.status.terminal or order.slot_price != slot.price):
        return f"has an order that is {order.status} and belongs to {plain(order.slot_price)}"
    if slot.entry_cost < 0 or bool(slot.entry_cost) is not bool(slot.position_qty):
        return f"holds {plain(slot.position_qty)} at a cost of {plain(slot.entry_cost)}"
    return ""


def _order_problem(order: Order) -> str:
    if not ZERO <= order.filled_quantity <= order.quantity:
        return f"has {plain(order.filled_quantity)} filled of {plain(order.quantity)}"
    if (order.status is OrderStatus.FILLED) is not (order.filled_quantity == order.quantity):
        return f"is {order.status} with {plain(order.remaining)} left"
    if not order.executed_quantity <= order.filled_quantity:
        executed = plain(order.executed_quantity)
        return f"has {executed} executed of {plain(order.filled_quantity)} filled"
    return ""


def _name(slot: Slot) -> str:
    return f"slot {plain(slot.price)}"
