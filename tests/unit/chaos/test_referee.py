"""The referee finds nothing where both sides agree, and every kind of wrong where they do not."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from chaos.books import Ours, Theirs
from chaos.defects import DEFECTS
from chaos.referee import Kind, judge
from opensqt.core.grid.book import Standing
from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import OrderStatus, Purpose, Side
from tests.unit.chaos.ledgers import BOT, traded, with_order


@pytest.fixture
async def books() -> tuple[Ours, Theirs]:
    return await traded()


def kinds(ours: Ours, theirs: Theirs) -> set[Kind]:
    return {finding.kind for finding in judge(ours, theirs)}


def test_books_that_agree_show_nothing(books: tuple[Ours, Theirs]) -> None:
    assert judge(*books) == ()


@pytest.mark.parametrize(
    ("defect", "kind"),
    [
        ("doubled-order", Kind.DOUBLED),
        ("lost-fill", Kind.LOST),
        ("stuck-slot", Kind.STUCK),
        ("unknown-order", Kind.UNKNOWN),
    ],
)
def test_every_defect_is_noticed(books: tuple[Ours, Theirs], defect: str, kind: Kind) -> None:
    ours, theirs = books
    assert kind in kinds(ours, DEFECTS[defect](theirs))
    assert len(DEFECTS) == 4


FILLED, RESTING, CLOSING = 0, 1, 2


@pytest.mark.parametrize(
    ("index", "changes", "kind"),
    [
        (FILLED, {"executed": D("0.011")}, Kind.LOST),
        (FILLED, {"executed": D("0.009")}, Kind.INVENTED),
        (FILLED, {"price": D(98)}, Kind.UNKNOWN),
        (FILLED, {"quantity": D("0.02")}, Kind.UNKNOWN),
        (FILLED, {"status": "NEW"}, Kind.UNKNOWN),
        (RESTING, {"status": "CANCELED"}, Kind.STUCK),
        (RESTING, {"client_oid": "manual"}, Kind.UNKNOWN),
        (CLOSING, {"status": "FILLED"}, Kind.STUCK),
        (CLOSING, {"executed": D("0.005")}, Kind.LOST),
    ],
)
def test_an_order_that_differs_is_noticed(
    books: tuple[Ours, Theirs], index: int, changes: dict[str, Any], kind: Kind
) -> None:
    ours, theirs = books
    assert kind in kinds(ours, with_order(theirs, index, **changes))


@pytest.mark.parametrize("status", [OrderStatus.PENDING, OrderStatus.UNKNOWN])
def test_an_order_whose_result_is_not_proven_is_stuck(
    books: tuple[Ours, Theirs], status: OrderStatus
) -> None:
    ours, theirs = books
    assert kinds(with_order(ours, 0, status=status), theirs) == {Kind.STUCK}


def test_a_cancel_in_doubt_is_stuck(books: tuple[Ours, Theirs]) -> None:
    ours, theirs = books
    (resting,) = [i for i, o in enumerate(ours.orders) if o.status is OrderStatus.NEW]
    assert kinds(with_order(ours, resting, cancel_requested=True), theirs) == {Kind.STUCK}


def test_an_order_that_the_exchange_never_took_is_stuck(books: tuple[Ours, Theirs]) -> None:
    ours, theirs = books
    orders = [order for order in theirs.orders if order.status != "NEW"]
    assert kinds(ours, replace(theirs, orders=tuple(orders))) == {Kind.STUCK}


def test_an_execution_that_was_not_counted_is_lost(books: tuple[Ours, Theirs]) -> None:
    ours, theirs = books
    assert kinds(replace(ours, executions=ours.executions[1:]), theirs) == {Kind.LOST}


def test_an_execution_that_was_counted_twice_is_invented(books: tuple[Ours, Theirs]) -> None:
    ours, theirs = books
    twice = (*ours.executions, ours.executions[0])
    assert kinds(replace(ours, executions=twice), theirs) == {Kind.INVENTED}


def test_a_position_that_differs_is_lost(books: tuple[Ours, Theirs]) -> None:
    ours, theirs = books
    assert kinds(ours, replace(theirs, position=D("0.007"))) == {Kind.LOST}


def test_a_fill_in_the_wrong_slot_is_noticed(books: tuple[Ours, Theirs]) -> None:
    """The sum is right, each slot is wrong."""
    ours, theirs = books
    slots = dict(ours.grid.slots)
    slots[D(99)] = replace(slots[D(99)], position_qty=D("0.003"))
    slots[D(98)] = replace(slots[D(98)], position_qty=D("0.003"))
    wrong = replace(ours, grid=replace(ours.grid, slots=slots))
    assert {Kind.LOST, Kind.INVENTED} == kinds(wrong, theirs)


@pytest.mark.parametrize("name", ["realised_pnl", "fees"])
def test_money_that_differs_is_noticed(books: tuple[Ours, Theirs], name: str) -> None:
    ours, theirs = books
    totals = replace(ours.grid.totals, **{name: getattr(ours.grid.totals, name) + D("1e-12")})
    assert kinds(replace(ours, grid=replace(ours.grid, totals=totals)), theirs) == {Kind.MONEY}


@pytest.mark.parametrize(
    ("standing", "kind"), [(Standing.HALTED, Kind.HALTED), (Standing.RECONCILING, Kind.STUCK)]
)
def test_a_bot_that_stands_is_noticed(
    books: tuple[Ours, Theirs], standing: Standing, kind: Kind
) -> None:
    ours, theirs = books
    grid = replace(ours.grid, standing=standing)
    assert kinds(replace(ours, grid=grid), theirs) == {kind}


@pytest.mark.parametrize(("earlier", "found"), [(1, set()), (0, {Kind.UNKNOWN})])
def test_what_ended_before_the_ledger_began_need_not_be_known(
    books: tuple[Ours, Theirs], earlier: int, found: set[Kind]
) -> None:
    ours, theirs = books
    client_oid = grid_order_id(
        bot_id=BOT,
        epoch=ours.grid.identity.epoch - earlier,
        slot_price=D(90),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        cycle=0,
    )
    order = replace(theirs.orders[RESTING], client_oid=client_oid, order_id="e9", status="CANCELED")
    assert kinds(ours, replace(theirs, orders=(*theirs.orders, order))) == found
