"""Damaged books are recognised."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import GridBook, Slot, SlotStatus, Standing
from opensqt.core.grid.invariants import book_problem
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import OrderStatus
from opensqt.testing.grids import batch_on, filled, grid, opening

NOTHING = {"filled_quantity": D(0), "executed_quantity": D(0)}


def sound() -> GridBook:
    book = grid()
    reserved = SlotManager(book).reserve(
        batch_on(book, opening(99), opening(98)), deadline_ns=1, now_ns=1
    )
    return SlotManager(reserved.book).apply(filled(reserved.value.to_place[0], "e1"), now_ns=1).book


def with_slot(price: int, **changes: object) -> GridBook:
    book = sound()
    slot = replace(book.slots[D(price)], **changes)  # type: ignore[arg-type]
    return replace(book, slots={**book.slots, slot.price: slot})


def with_order(price: int, **changes: object) -> GridBook:
    book = sound()
    (order,) = (o for o in book.orders.values() if o.slot_price == price)
    return replace(book, orders={**book.orders, order.client_oid: replace(order, **changes)})  # type: ignore[arg-type]


def test_a_sound_book_has_no_problem() -> None:
    assert not book_problem(sound())


@pytest.mark.parametrize(
    ("book", "problem"),
    [
        (with_slot(98, status=SlotStatus.FREE), "slot 98 is FREE with PENDING"),
        (with_slot(98, status=SlotStatus.LOCKED), "slot 98 is LOCKED with PENDING"),
        (with_slot(98, order=None), "slot 98 is PENDING with no order"),
        (with_slot(99, entry_cost=D(0)), "slot 99 holds 0.01 at a cost of 0"),
        (with_slot(99, entry_cost=D(-1)), "slot 99 holds 0.01 at a cost of -1"),
        (with_slot(99, position_qty=D(0)), "slot 99 holds 0 at a cost of 0.99"),
        (with_order(98, status=OrderStatus.NEW), "slot 98 has an order"),
        (with_order(99, filled_quantity=D(2)), "has 2 filled of 0.01"),
        (with_order(99, filled_quantity=D("0.005")), "is FILLED with 0.005 left"),
        (with_order(99, executed_quantity=D("0.02")), "has 0.02 executed of 0.01 filled"),
        (with_order(99, status=OrderStatus.NEW, **NOTHING), "no slot has a live order"),
        (replace(sound(), standing=Standing.HALTED), "is HALTED for the reason ''"),
        (replace(sound(), standing_reason="x"), "is TRADING for the reason 'x'"),
        (replace(sound(), slots={D("98.5"): Slot(price=D("98.5"))}), "off the grid"),
        (replace(sound(), strays=frozenset({"x"})), "said to stray"),
    ],
)
def test_a_damaged_book_is_named(book: GridBook, problem: str) -> None:
    assert problem in book_problem(book)
