"""Falsified books: with one of these the referee must cry, or it would never."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from chaos.books import ExchangeFill, Theirs
from opensqt.core.orders import Side

Defect = Callable[[Theirs], Theirs]
"""The exchange's books as they would be if we had made a mistake."""


def _doubled_order(theirs: Theirs) -> Theirs:
    again = replace(theirs.orders[0], order_id="again")
    return replace(theirs, orders=(*theirs.orders, again))


def _lost_fill(theirs: Theirs) -> Theirs:
    order = theirs.orders[0]
    fill = ExchangeFill(
        execution_id="lost",
        order_id=order.order_id,
        side=Side.BUY,
        price=order.price,
        quantity=Decimal("0.001"),
        fee=Decimal(0),
    )
    return replace(theirs, fills=(*theirs.fills, fill), position=theirs.position + fill.quantity)


def _stuck_slot(theirs: Theirs) -> Theirs:
    """Every order has ended there: the slots wait for nothing."""
    ended = tuple(
        replace(order, status="EXPIRED") if order.open else order for order in theirs.orders
    )
    return replace(theirs, orders=ended)


def _unknown_order(theirs: Theirs) -> Theirs:
    strange = replace(
        theirs.orders[0],
        order_id="strange",
        client_oid="strange",
        status="NEW",
        executed=Decimal(0),
    )
    return replace(theirs, orders=(*theirs.orders, strange))


DEFECTS: Final[Mapping[str, Defect]] = {
    "doubled-order": _doubled_order,
    "lost-fill": _lost_fill,
    "stuck-slot": _stuck_slot,
    "unknown-order": _unknown_order,
}
