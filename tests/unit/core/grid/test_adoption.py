"""Orders of a ledger that was lost come back from what the exchange tells, whatever its order."""

from dataclasses import dataclass, field, replace
from decimal import Decimal as D
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import Direction, GridBook, SlotStatus, Standing
from opensqt.core.grid.invariants import book_problem
from opensqt.core.grid.results import Applied
from opensqt.core.grid.slots import SlotManager
from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import Order, OrderStatus, Purpose, Side
from opensqt.testing.grids import (
    NOW_NS,
    batch_on,
    execution,
    filled,
    grid,
    identity,
    opening,
    update,
)

OLD = identity().epoch
UNIT = D("0.001")


def lost(
    price: int,
    purpose: Purpose = Purpose.OPEN,
    side: Side = Side.BUY,
    *,
    cycle: int = 0,
    quantity: D = D("0.01"),
    epoch: int = OLD,
) -> Order:
    """An order as the lost ledger made it."""
    opens = purpose is Purpose.OPEN
    return Order(
        client_oid=grid_order_id(
            bot_id="btc", epoch=epoch, slot_price=D(price), side=side, purpose=purpose, cycle=cycle
        ),
        bot_id="btc",
        symbol="BTCUSDT",
        side=side,
        purpose=purpose,
        price=D(price) if opens else D(price) - side.sign,
        quantity=quantity,
        slot_price=D(price),
        cycle=cycle,
        reduce_only=not opens,
        post_only=True,
        batch_id="",
        created_ns=0,
        deadline_ns=0,
        updated_ns=0,
    )


def successor(standing: Standing = Standing.RECONCILING, **how: Direction) -> GridBook:
    """The same grid in a new ledger, which knows nothing."""
    book = grid(**how)
    return replace(book, identity=replace(book.identity, epoch=OLD + 1), standing=standing)


def told(book: GridBook, *updates: OrderUpdate) -> GridBook:
    for event in updates:
        outcome = SlotManager(book).apply(event, now_ns=1)
        assert not outcome.value.quarantined
        book = outcome.book
        assert not book_problem(book)
    return book


def left_alone(book: GridBook, event: OrderUpdate) -> Applied:
    outcome = SlotManager(book).apply(event, now_ns=1)
    assert outcome.change is None
    assert outcome.book == book
    return outcome.value


# --- one order ------------------------------------------------------------------------------------


def test_a_resting_order_is_bound_to_its_slot() -> None:
    order = lost(99, cycle=3)
    book = told(successor(), update(order, OrderStatus.NEW, exchange_order_id="7"))
    known = book.orders[order.client_oid]
    assert (known.price, known.quantity, known.exit_price) == (D(99), D("0.01"), D(100))
    assert (known.purpose, known.side, known.cycle) == (Purpose.OPEN, Side.BUY, 3)
    assert (known.status, known.exchange_order_id) == (OrderStatus.NEW, "7")
    assert book.slots[D(99)].order == known
    assert book.slots[D(99)].status is SlotStatus.LOCKED


def test_of_an_order_that_has_ended_only_the_fills_count() -> None:
    order = lost(99)
    part = execution(order, "e1", "0.004")
    book = told(
        successor(),
        update(order, OrderStatus.PARTIALLY_FILLED, "0.004", fill=part),
        update(order, OrderStatus.CANCELED, "0.004"),
    )
    slot = book.slots[D(99)]
    assert (slot.status, slot.position_qty, slot.exit_price) == (
        SlotStatus.FREE,
        D("0.004"),
        D(100),
    )
    assert (book.totals.fills, book.totals.fees) == (1, D("0.0002"))


def test_a_close_may_be_told_before_what_it_closed() -> None:
    bought, sold = lost(99), lost(99, Purpose.CLOSE, Side.SELL, cycle=1)
    book = told(successor(), filled(sold, "c1"))
    assert book.position == D("-0.01")
    book = told(book, filled(bought, "e1"))
    slot = book.slots[D(99)]
    assert (slot.position_qty, slot.entry_cost, slot.exit_price) == (0, 0, None)
    assert book.totals.realised_pnl == D("0.01")


def test_a_resting_close_keeps_its_slot() -> None:
    bought, sells = lost(99), lost(99, Purpose.CLOSE, Side.SELL, cycle=1)
    book = told(successor(), update(sells, OrderStatus.NEW), filled(bought, "e1"))
    slot = book.slots[D(99)]
    assert (slot.status, slot.position_qty, slot.exit_price) == (
        SlotStatus.LOCKED,
        D("0.01"),
        D(100),
    )
    assert slot.order is not None
    assert slot.order.reduce_only
    neutral = told(successor(direction=Direction.NEUTRAL), update(sells, OrderStatus.NEW))
    assert not neutral.orders[sells.client_oid].reduce_only


def test_new_ids_never_meet_old_ones() -> None:
    order = lost(99)
    book = told(successor(), update(order, OrderStatus.NEW), update(order, OrderStatus.CANCELED))
    book = SlotManager(book).confirm(epoch=OLD + 1, now_ns=1).book
    batch = SlotManager(book).reserve(
        batch_on(book, opening(99)),
        deadline_ns=1,
        now_ns=10**18,
    )
    assert batch.value.to_place[0].client_oid != order.client_oid


@pytest.mark.parametrize("missing", ["price", "quantity"])
def test_a_filled_order_needs_neither_price_nor_quantity(missing: str) -> None:
    order = lost(99, Purpose.CLOSE, Side.SELL)
    book = told(successor(), replace(filled(order, "e1"), **{missing: None}))  # type: ignore[arg-type]
    known = book.orders[order.client_oid]
    assert (known.price, known.quantity, known.status) == (
        D(100),
        D("0.01"),
        OrderStatus.FILLED,
    )


# --- two orders for one slot ----------------------------------------------------------------------


def test_an_order_whose_slot_is_taken_gets_it_when_it_is_free() -> None:
    old, new = lost(99, cycle=1), lost(99, cycle=2)
    book = told(successor(), update(old, OrderStatus.NEW), update(new, OrderStatus.NEW))
    assert book.slots[D(99)].order == book.orders[old.client_oid]
    book = told(book, update(old, OrderStatus.CANCELED))
    assert book.slots[D(99)].order == book.orders[new.client_oid]
    assert SlotManager(book).confirm(epoch=OLD + 1, now_ns=1).book.standing is Standing.TRADING


@pytest.mark.invariant(5)
def test_two_live_orders_for_a_slot_do_not_pass_the_comparison() -> None:
    orders = (lost(99, cycle=1), lost(99, cycle=2))
    book = told(successor(), *(update(order, OrderStatus.NEW) for order in orders))
    book = SlotManager(book).confirm(epoch=OLD + 1, now_ns=1).book
    assert book.standing is Standing.HALTED
    assert "slot 99 has two live orders" in book.standing_reason
    assert {order.client_oid for order in orders} == set(book.orders)


@pytest.mark.invariant(5)
def test_an_old_order_found_where_a_new_one_lives_halts() -> None:
    book = successor(Standing.TRADING)
    book = SlotManager(book).reserve(batch_on(book, opening(99)), deadline_ns=1, now_ns=1).book
    ours = book.slots[D(99)].order
    book = told(book, update(lost(99), OrderStatus.NEW))
    assert book.slots[D(99)].order == ours
    assert book.standing is Standing.HALTED


@pytest.mark.parametrize(
    ("event", "overtaken"),
    [
        (update(lost(99), OrderStatus.NEW), True),
        (update(lost(99), OrderStatus.PARTIALLY_FILLED, "0.004"), False),
        (replace(update(lost(99), OrderStatus.NEW), receive_time_ns=NOW_NS + 2), False),
    ],
)
def test_news_of_an_old_order_may_be_older_than_the_order_of_its_slot(
    event: OrderUpdate, *, overtaken: bool
) -> None:
    book = successor(Standing.TRADING)
    batch = batch_on(book, opening(99))
    book = SlotManager(book).reserve(batch, deadline_ns=NOW_NS, now_ns=NOW_NS + 1).book
    outcome = SlotManager(book).apply(event, now_ns=NOW_NS + 3)
    assert (outcome.change is None) is overtaken
    assert (outcome.book.standing is Standing.HALTED) is not overtaken
    assert not outcome.value.quarantined, "what is put aside is not told again"


# --- what is not adopted --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "why", "halts"),
    [
        (update(lost(99, epoch=OLD + 1), OrderStatus.NEW), "has never made", True),
        (update(lost(99, epoch=OLD + 9), OrderStatus.NEW), "has never made", True),
        (replace(update(lost(99), OrderStatus.NEW), side=Side.SELL), "says BUY, not SELL", True),
        (update(lost(99, side=Side.SELL), OrderStatus.NEW), "which opens by SELL", True),
        (replace(update(lost(99), OrderStatus.NEW), quantity=None), "quantity is not said", True),
        (replace(update(lost(99), OrderStatus.NEW), quantity=D(0)), "quantity is not said", True),
        (update(lost(99), OrderStatus.UNKNOWN), "in status UNKNOWN", True),
        (update(lost(99), OrderStatus.NEW, "0.02"), "filled 0.02 of 0.01", True),
        (replace(update(lost(99), OrderStatus.NEW), account="other"), "not an order of", False),
        (replace(update(lost(99), OrderStatus.NEW), symbol="ETHUSDT"), "not an order of", False),
        (replace(update(lost(99), OrderStatus.NEW), client_oid="web_1"), "not an order of", False),
    ],
)
def test_is_left_alone(event: OrderUpdate, why: str, *, halts: bool) -> None:
    applied = left_alone(successor(), event)
    assert why in applied.quarantined
    assert applied.halts is halts


def test_an_order_off_the_grid_is_left_alone() -> None:
    order = lost(99)
    oid = grid_order_id(
        bot_id="btc",
        epoch=OLD,
        slot_price=D("99.5"),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        cycle=0,
    )
    applied = left_alone(successor(), replace(update(order, OrderStatus.NEW), client_oid=oid))
    assert "99.5 is no level of its grid" in applied.quarantined
    assert applied.halts


# --- all of an account's history ------------------------------------------------------------------


@dataclass
class History:
    """What happened on the exchange, and what it told of it."""

    updates: list[OrderUpdate] = field(default_factory=list)
    held: dict[D, D] = field(default_factory=dict)
    live: dict[D, str] = field(default_factory=dict)
    cash: D = D(0)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Slots that were opened and closed, in parts or whole, and what is left of them."""
    history = History()
    for price in draw(st.lists(st.integers(95, 105), min_size=1, max_size=3, unique=True)):
        held, rounds = D(0), [False] * draw(st.integers(0, 3)) + [True]
        for cycle, last in enumerate(rounds):
            side = draw(st.sampled_from(Side)) if not held else Side.SELL if held > 0 else Side.BUY
            purpose = Purpose.CLOSE if held else Purpose.OPEN
            quantity = abs(held) or draw(st.integers(1, 5)) * UNIT
            order = lost(price, purpose, side, cycle=cycle, quantity=quantity)
            filled_units = draw(st.integers(0, int(quantity / UNIT)))
            live = last and filled_units * UNIT < quantity and draw(st.booleans())
            held += _trade(draw, history, order, filled_units, live=live) * side.sign
        history.held[D(price)] = held
    return history


def _trade(draw: st.DrawFn, history: History, order: Order, units: int, *, live: bool) -> D:
    total, told, number = D(0), [update(order, OrderStatus.NEW)], 0
    while units:
        part = draw(st.integers(1, units))
        units -= part
        total += part * UNIT
        price = order.price + draw(st.integers(-1, 1))
        fill = execution(order, f"{order.client_oid}-{number}", part * UNIT, price=price)
        whole = total == order.quantity
        status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        told.append(update(order, status, total, fill=fill))
        history.cash -= part * UNIT * price * order.side.sign
        number += 1
    if live:
        history.live[order.slot_price] = order.client_oid
    elif total < order.quantity:
        ended = draw(st.sampled_from([OrderStatus.CANCELED, OrderStatus.EXPIRED]))
        told.append(update(order, ended, total))
    history.updates += told
    return total


@pytest.mark.invariant(2, 6, 9)
@settings(max_examples=300, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_a_history_in_any_order_rebuilds_the_slots(history: History, chance: Random) -> None:
    """With duplicates: holdings, money, and the slots' live orders."""
    events = history.updates + [u for u in history.updates if chance.random() < 0.3]
    chance.shuffle(events)
    book = told(successor(direction=Direction.NEUTRAL), *events)
    assert {p: s.position_qty for p, s in book.slots.items() if s.position_qty} == {
        price: quantity for price, quantity in history.held.items() if quantity
    }
    assert {p: s.order.client_oid for p, s in book.slots.items() if s.order} == history.live
    assert {order.client_oid for order in book.live_orders()} == set(history.live.values())
    held = sum((s.entry_cost.copy_sign(s.position_qty) for s in book.slots.values()), D(0))
    assert book.totals.realised_pnl == history.cash + held
    assert book.standing is Standing.RECONCILING
    assert SlotManager(book).confirm(epoch=OLD + 1, now_ns=1).book.standing is Standing.TRADING
