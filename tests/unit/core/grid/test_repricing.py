"""Fills are told by cumulative quantities and by executions; in the end only executions count."""

from dataclasses import dataclass
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook
from opensqt.core.grid.invariants import book_problem
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Order, OrderStatus
from opensqt.testing.grids import batch_on, closing, execution, grid, opening, update

pytestmark = pytest.mark.invariant(16, 47)

UNIT = D("0.001")


@dataclass
class Told:
    """One order's whole story, by both of its witnesses."""

    executions: list[OrderUpdate]
    look_ups: list[OrderUpdate]


@st.composite
def stories(draw: st.DrawFn, order: Order) -> Told:
    """Executions that fill an order whole, and look-ups in between, with averages or without."""
    told, left, quote, filled = Told([], []), int(order.quantity / UNIT), D(0), D(0)
    while left:
        part = draw(st.integers(1, left))
        left -= part
        filled += part * UNIT
        price = order.price + draw(st.integers(-300, 300)) / D(100)
        quote += price * part * UNIT
        status = OrderStatus.PARTIALLY_FILLED if left else OrderStatus.FILLED
        name = f"{order.purpose}-{len(told.executions)}"
        fill = execution(order, name, part * UNIT, price=price, fee="0.01")
        told.executions.append(update(order, status, filled, fill=fill))
        average = draw(st.sampled_from([None, str(quote / filled)]))
        told.look_ups.append(update(order, status, filled, average=average))
    return told


def placed(book: GridBook, action: object) -> tuple[GridBook, Order]:
    outcome = SlotManager(book).reserve(batch_on(book, action), deadline_ns=1, now_ns=1)  # type: ignore[arg-type]
    return outcome.book, outcome.value.to_place[0]


def told(book: GridBook, events: list[OrderUpdate]) -> GridBook:
    for event in events:
        outcome = SlotManager(book).apply(event, now_ns=1)
        assert not outcome.value.quarantined
        book = outcome.book
        assert SlotManager(book).apply(event, now_ns=1).change is None, "again changes nothing"
        assert not book_problem(book)
        assert book.totals.realised_pnl == cash(book) + cost(book)
        for order in book.orders.values():
            assert order.executed_quantity <= order.filled_quantity
            assert order.executed_quote <= order.filled_quote
    return book


def cash(book: GridBook) -> D:
    return sum((-o.filled_quote * o.side.sign for o in book.orders.values()), D(0))


def cost(book: GridBook) -> D:
    return sum((s.entry_cost.copy_sign(s.position_qty) for s in book.slots.values()), D(0))


def traded(events: list[OrderUpdate]) -> D:
    executions = [event.execution for event in events if event.execution]
    return sum((e.price * e.quantity for e in executions), D(0))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whoever_tells_first_the_executions_have_the_last_word(data: st.DataObject) -> None:
    """An opening and the close of what it built; late executions come in any order among them."""
    book, order = placed(grid(), opening(99, quantity="0.01"))
    first = data.draw(stories(order))
    late = data.draw(st.lists(st.sampled_from(first.executions), unique_by=id))
    early = [e for e in first.executions if not any(e is other for other in late)]
    heard = data.draw(st.lists(st.sampled_from(first.look_ups), unique_by=id))
    whole = [*early, *heard, first.look_ups[-1]]
    book = told(book, data.draw(st.permutations(whole)))
    assert book.slots[D(99)].position_qty == D("0.01")

    book, close = placed(book, closing(book, 99))
    second = data.draw(stories(close))
    events = [*late, *second.executions, *second.look_ups]
    book = told(book, data.draw(st.permutations(events)))
    bought, sold = traded(first.executions), traded(second.executions)
    for one, quote in ((order, bought), (close, sold)):
        known = book.orders[one.client_oid]
        assert known.filled_quote == known.executed_quote == quote
        assert known.executed_quantity == known.quantity
    slot = book.slots[D(99)]
    assert (slot.position_qty, slot.entry_cost) == (0, 0)
    assert book.totals.realised_pnl == sold - bought
    assert book.totals.fees == D("0.01") * book.totals.fills
    assert book.totals.fills == len(first.executions) + len(second.executions)


def test_an_inferred_price_is_corrected_where_it_went() -> None:
    """Half of it is held still, half was sold meanwhile."""
    book, order = placed(grid(), opening(99, quantity="2"))
    book = told(book, [update(order, OrderStatus.FILLED, "2", average="99")])
    book, close = placed(book, closing(book, 99))
    half = execution(close, "c1", "1", price="100")
    book = told(book, [update(close, OrderStatus.PARTIALLY_FILLED, "1", fill=half)])
    assert (book.totals.realised_pnl, book.slots[D(99)].entry_cost) == (D(1), D(99))
    real = execution(order, "e1", "2", price="98")
    book = told(book, [update(order, OrderStatus.FILLED, "2", fill=real)])
    assert (book.totals.realised_pnl, book.slots[D(99)].entry_cost) == (D(2), D(98))
    assert book.orders[order.client_oid].filled_quote == D(196)


def test_a_correction_never_takes_more_than_a_holding_cost() -> None:
    """It comes after what it is about was sold, and something else is held by then."""
    book, first = placed(grid(), opening(99, quantity="2"))
    book = told(book, [update(first, OrderStatus.FILLED, "2", average="500")])
    for action, price in ((closing(book, 99), "99"), (opening(99, quantity="2"), "99")):
        book, order = placed(book, action)
        fill = execution(order, f"{order.client_oid}", "2", price=price)
        book = told(book, [update(order, OrderStatus.FILLED, "2", fill=fill)])
    assert (book.totals.realised_pnl, book.slots[D(99)].entry_cost) == (-802, 198)
    real = execution(first, "e1", "2", price="99")
    book = told(book, [update(first, OrderStatus.FILLED, "2", fill=real)])
    assert (book.totals.realised_pnl, book.slots[D(99)].entry_cost) == (0, 198)
