"""Fills, in every order that exchanges bring them: each line is one story of one order.

A story is what happened since the order was committed, by one letter and numbers:

    n           the exchange has the order            N     the same, as a recorded answer
    p 7 e2=3    partially filled, 7 so far, the last 3 of them by execution e2
    p 7 -       the same, by somebody who does not tell executions
    f e2=6      filled, the last 6 by execution e2    f -   the same, without executions
    c 4         canceled with 4 filled                x 4   expired with 4 filled
    r           rejected                              R     the same, as a recorded answer
    u           the answer was lost                   0     proven never to have arrived

The order opens ten units at 99, with the exit at 100.
"""

from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import GridBook, PositionStatus, SlotStatus
from opensqt.core.grid.results import PlacementResult
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Order, OrderStatus
from opensqt.testing.grids import (
    DEADLINE_NS,
    NOW_NS,
    batch_on,
    execution,
    grid,
    opening,
    update,
)

STORIES = """
story                                  | order             | filled | slot    | fills
                                       | PENDING           | 0      | PENDING | 0
u                                      | UNKNOWN           | 0      | PENDING | 0
n                                      | NEW               | 0      | LOCKED  | 0
N                                      | NEW               | 0      | LOCKED  | 0
N; n; N                                | NEW               | 0      | LOCKED  | 0
u; n                                   | NEW               | 0      | LOCKED  | 0
n; u                                   | NEW               | 0      | LOCKED  | 0
n; f e1=10                             | FILLED            | 10     | FREE    | 1
f e1=10                                | FILLED            | 10     | FREE    | 1
f e1=10; n; N                          | FILLED            | 10     | FREE    | 1
f e1=10; f e1=10                       | FILLED            | 10     | FREE    | 1
f e1=10; R                             | FILLED            | 10     | FREE    | 1
f e1=10; u                             | FILLED            | 10     | FREE    | 1
f -                                    | FILLED            | 10     | FREE    | 0
f -; f e1=10                           | FILLED            | 10     | FREE    | 1
u; f -                                 | FILLED            | 10     | FREE    | 0
n; p 4 e1=4                            | PARTIALLY_FILLED  | 4      | LOCKED  | 1
p 4 e1=4                               | PARTIALLY_FILLED  | 4      | LOCKED  | 1
p 4 e1=4; n; N                         | PARTIALLY_FILLED  | 4      | LOCKED  | 1
p 4 e1=4; p 4 e1=4                     | PARTIALLY_FILLED  | 4      | LOCKED  | 1
p 4 -; p 4 e1=4                        | PARTIALLY_FILLED  | 4      | LOCKED  | 1
p 4 e1=4; p 7 e2=3                     | PARTIALLY_FILLED  | 7      | LOCKED  | 2
p 7 e2=3; p 4 e1=4                     | PARTIALLY_FILLED  | 7      | LOCKED  | 2
p 4 e1=4; p 4 e2=3                     | PARTIALLY_FILLED  | 7      | LOCKED  | 2
p 4 e1=4; p 4 e2=6                     | FILLED            | 10     | FREE    | 2
p 4 e1=4; p 7 e2=3; p 4 e1=4; p 7 e2=3 | PARTIALLY_FILLED  | 7      | LOCKED  | 2
p 4 e1=4; f e2=6                       | FILLED            | 10     | FREE    | 2
f e2=6; p 4 e1=4                       | FILLED            | 10     | FREE    | 2
p 4 e1=4; p 7 e2=3; p 10 e3=3          | FILLED            | 10     | FREE    | 3
n; c 0                                 | CANCELED          | 0      | FREE    | 0
n; p 4 e1=4; c 4                       | CANCELED          | 4      | FREE    | 1
n; c 4; p 4 e1=4                       | CANCELED          | 4      | FREE    | 1
c 4                                    | CANCELED          | 4      | FREE    | 0
p 4 e1=4; c 0                          | CANCELED          | 4      | FREE    | 1
p 4 e1=4; c 4; n; p 4 e1=4             | CANCELED          | 4      | FREE    | 1
p 4 e1=4; c 4; f e2=6                  | FILLED            | 10     | FREE    | 2
c 0; f e1=10                           | FILLED            | 10     | FREE    | 1
c 0; p 4 e1=4                          | CANCELED          | 4      | FREE    | 1
n; x 0                                 | EXPIRED           | 0      | FREE    | 0
x 4; p 4 e1=4                          | EXPIRED           | 4      | FREE    | 1
x 0; f e1=10                           | FILLED            | 10     | FREE    | 1
R                                      | REJECTED          | 0      | FREE    | 0
r; n                                   | REJECTED          | 0      | FREE    | 0
n; r                                   | REJECTED          | 0      | FREE    | 0
R; p 4 e1=4                            | PARTIALLY_FILLED  | 4      | LOCKED  | 1
R; f e1=10                             | FILLED            | 10     | FREE    | 1
p 4 e1=4; R                            | PARTIALLY_FILLED  | 4      | LOCKED  | 1
u; 0                                   | NOT_PLACED        | 0      | FREE    | 0
u; 0; n                                | NEW               | 0      | LOCKED  | 0
u; 0; n; f e1=10                       | FILLED            | 10     | FREE    | 1
u; 0; f e1=10                          | FILLED            | 10     | FREE    | 1
u; 0; c 4                              | CANCELED          | 4      | FREE    | 0
n; 0                                   | NEW               | 0      | LOCKED  | 0
p 11 e1=11                             | PENDING           | 0      | PENDING | 0
p 4 e1=4; p 9 e7=7                     | PARTIALLY_FILLED  | 4      | LOCKED  | 1
"""

ANSWERED = {
    "N": OrderStatus.NEW,
    "R": OrderStatus.REJECTED,
    "u": OrderStatus.UNKNOWN,
    "0": OrderStatus.NOT_PLACED,
}
SAID = {
    "n": OrderStatus.NEW,
    "p": OrderStatus.PARTIALLY_FILLED,
    "f": OrderStatus.FILLED,
    "c": OrderStatus.CANCELED,
    "x": OrderStatus.EXPIRED,
    "r": OrderStatus.REJECTED,
}


def read(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")] for line in table.strip("\n").splitlines()[1:]
    ]


def tell(book: GridBook, order: Order, event: str) -> GridBook:
    """The book after one event of a story."""
    letter, *words = event.split()
    manager = SlotManager(book)
    if letter in ANSWERED:
        result = PlacementResult(client_oid=order.client_oid, status=ANSWERED[letter])
        return manager.record((result,), now_ns=NOW_NS).book
    total, fill = D(10 if letter == "f" else words[0] if words else 0), None
    if words and "=" in words[-1]:
        name, _, quantity = words[-1].partition("=")
        fill = execution(order, name, quantity)
    return manager.apply(update(order, SAID[letter], total, fill=fill), now_ns=NOW_NS).book


@pytest.mark.invariant(3, 4, 41, 42, 43, 44, 47)
@pytest.mark.parametrize(("story", "status", "filled", "slot", "fills"), read(STORIES))
def test_story(story: str, status: str, filled: str, slot: str, fills: str) -> None:
    book = grid()
    reserved = SlotManager(book).reserve(
        batch_on(book, opening(99, quantity="10")), deadline_ns=DEADLINE_NS, now_ns=NOW_NS
    )
    (order,) = reserved.value.to_place
    book = reserved.book
    for event in filter(None, (event.strip() for event in story.split(";"))):
        before = book
        book = tell(book, order, event)
        assert tell(book, order, event) == book, "telling it again changes nothing"
        known, was = book.orders[order.client_oid], before.orders[order.client_oid]
        assert 0 <= was.filled_quantity <= known.filled_quantity <= known.quantity
    known, held = book.orders[order.client_oid], book.slots[D(99)]
    assert (known.status, known.filled_quantity) == (OrderStatus(status), D(filled))
    assert (held.status, held.position_qty) == (SlotStatus(slot), D(filled))
    assert held.entry_cost == known.filled_quote == 99 * D(filled)
    assert held.position_status is (PositionStatus.FILLED if D(filled) else PositionStatus.EMPTY)
    assert held.exit_price == (D(100) if D(filled) else None)
    assert (held.order is None) is (held.status is SlotStatus.FREE)
    assert book.totals.fills == book.totals.buys == int(fills)
    assert book.totals.fees == int(fills) * D("0.0002")
