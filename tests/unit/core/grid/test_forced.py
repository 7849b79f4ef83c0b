"""Forced orders: what the exchange closed by itself leaves the slots, once, and the grid halts."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import Direction, GridBook, SlotStatus, Standing
from opensqt.core.grid.invariants import book_problem
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import OrderStatus, Side
from opensqt.testing.grids import batch_on, closing, filled, forced, grid, opening, update

pytestmark = pytest.mark.invariant(49)


def holding(prices: dict[int, str], side: Side = Side.BUY) -> GridBook:
    """A grid that has opened at these prices, so much each."""
    book = grid(direction=Direction.LONG if side is Side.BUY else Direction.SHORT)
    for number, (price, quantity) in enumerate(prices.items()):
        action = opening(price, quantity=quantity, side=side)
        outcome = SlotManager(book).reserve(batch_on(book, action), deadline_ns=1, now_ns=1)
        (order,) = outcome.value.to_place
        book = SlotManager(outcome.book).apply(filled(order, f"e{number}"), now_ns=1).book
    return book


def taken(
    book: GridBook, event: OrderUpdate, *, offered: str = "", elsewhere: str = "0"
) -> tuple[GridBook, D]:
    assert event.execution is not None
    outcome = SlotManager(book).force(
        event,
        offered=D(offered) if offered else event.execution.quantity,
        elsewhere=D(elsewhere),
        now_ns=9,
    )
    assert not book_problem(outcome.book)
    again = SlotManager(outcome.book).force(event, offered=D(99), elsewhere=D(0), now_ns=10)
    assert again.change is None, "it is taken over once"
    assert again.value.quantity == outcome.value.quantity
    return outcome.book, outcome.value.quantity


def held(book: GridBook) -> dict[int, str]:
    return {int(p): str(s.position_qty) for p, s in sorted(book.slots.items()) if s.position_qty}


def test_the_worst_entry_is_closed_first() -> None:
    book, quantity = taken(holding({98: "1", 100: "1", 99: "1"}), forced("1.5"))
    assert quantity == D("1.5")
    assert held(book) == {98: "1", 99: "0.5"}
    assert book.totals.realised_pnl == 1 * (90 - 100) + D("0.5") * (90 - 99)
    assert book.totals.fees == 3 * D("0.0002") + D("0.3")
    assert book.standing is Standing.HALTED
    assert book.standing_reason == "LIQUIDATION: SELL 1.5 BTCUSDT at 90"


def test_a_short_s_worst_entry_is_the_lowest() -> None:
    book, _ = taken(
        holding({101: "1", 102: "1"}, Side.SELL), forced("1", price="120", side=Side.BUY)
    )
    assert held(book) == {102: "-1"}
    assert book.totals.realised_pnl == 101 - 120


def test_a_slot_holds_what_its_orders_filled() -> None:
    book, _ = taken(holding({98: "1", 100: "1"}), forced("1.5"))
    by_slot: dict[D, D] = {}
    for order in book.orders.values():
        signed = order.filled_quantity * order.side.sign
        by_slot[order.slot_price] = by_slot.get(order.slot_price, D(0)) + signed
    assert by_slot == {price: slot.position_qty for price, slot in book.slots.items()}


def test_resting_orders_stay_until_the_exchange_says_otherwise() -> None:
    book = holding({98: "1"})
    outcome = SlotManager(book).reserve(batch_on(book, opening(97)), deadline_ns=1, now_ns=1)
    (order,) = outcome.value.to_place
    book = SlotManager(outcome.book).apply(update(order, OrderStatus.NEW), now_ns=1).book
    book, _ = taken(book, forced("1"))
    assert book.slots[D(97)].status is SlotStatus.LOCKED
    assert held(book) == {}


def test_openings_that_filled_unheard_of_are_closed_too() -> None:
    book = holding({98: "1"})
    batch = batch_on(book, opening(96, quantity="1"), opening(97, quantity="1"))
    outcome = SlotManager(book).reserve(batch, deadline_ns=1, now_ns=1)
    below, above = outcome.value.to_place
    book, quantity = taken(outcome.book, forced("2.4"))
    assert quantity == D("2.4")
    assert held(book) == {96: "-0.4", 97: "-1"}
    for order, name in ((above, "late1"), (below, "late2")):
        book = SlotManager(book).apply(filled(order, name), now_ns=11).book
    assert held(book) == {96: "0.6"}
    assert book.slots[D(96)].exit_price == 97


def test_openings_that_the_market_has_not_come_to_have_filled_nothing() -> None:
    """What the account held beside the grid was closed, by hand it had been opened."""
    book = holding({98: "1"})
    batch = batch_on(book, opening(96, quantity="1"), opening(97, quantity="1"))
    book = SlotManager(book).reserve(batch, deadline_ns=1, now_ns=1).book
    assert taken(book, forced("5", price="97"))[1] == D(1)
    assert taken(book, forced("5", price="96.5"))[1] == D(2)


def test_what_was_never_the_grid_s_is_left() -> None:
    book, quantity = taken(holding({98: "1"}), forced("5"))
    assert (quantity, held(book)) == (D(1), {})
    book, quantity = taken(holding({}), forced("5"))
    assert (quantity, held(book), book.standing) == (D(0), {}, Standing.HALTED)
    assert book.totals.fills == 0


def test_what_other_grids_hold_is_not_taken_from_openings() -> None:
    book = holding({98: "1"})
    book = SlotManager(book).reserve(batch_on(book, opening(97, quantity="1")), deadline_ns=1, now_ns=1).book  # fmt: skip
    assert taken(book, forced("2"), elsewhere="1")[1] == D(1)
    assert taken(book, forced("2"), elsewhere="0.4")[1] == D("1.6")
    assert taken(book, forced("2"), offered="0.5")[1] == D("0.5")


def test_a_grid_that_holds_the_other_way_loses_nothing() -> None:
    book, quantity = taken(holding({101: "1"}, Side.SELL), forced("1"))
    assert (quantity, held(book)) == (D(0), {101: "-1"})


def test_every_execution_of_a_forced_order_counts() -> None:
    book, _ = taken(holding({98: "1", 99: "1"}), forced("1", execution_id="x1"))
    resumed = replace(book, standing=Standing.TRADING, standing_reason="")
    book, _ = taken(resumed, forced("0.5", execution_id="x2"))
    assert held(book) == {98: "0.5"}
    assert book.standing is Standing.HALTED


def test_told_again_it_does_not_halt_a_grid_that_was_resumed() -> None:
    book, _ = taken(holding({98: "1"}), forced("1"))
    book = SlotManager(book).resume(now_ns=1).book
    outcome = SlotManager(book).force(forced("1"), offered=D(1), elsewhere=D(0), now_ns=1)
    assert outcome.book.standing is Standing.RECONCILING


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.integers(90, 110), st.integers(1, 50), max_size=6),
    st.integers(1, 200),
    st.integers(1, 10**6),
)
def test_quantities_money_and_fees_add_up(holdings: dict[int, int], units: int, fee: int) -> None:
    before = holding({p: str(D(q) / 1000) for p, q in holdings.items()})
    quantity = D(units) / 1000
    event = forced(str(quantity), price="95.37", fee=str(D(fee) / 10**6))
    book, took = taken(before, event)
    assert took == min(quantity, before.position)
    assert book.position == before.position - took
    cost = sum((s.entry_cost for s in book.slots.values()), D(0))
    cost_before = sum((s.entry_cost for s in before.slots.values()), D(0))
    assert book.totals.realised_pnl == took * D("95.37") - (cost_before - cost)
    if took == quantity:
        assert book.totals.fees - before.totals.fees == D(fee) / 10**6


@pytest.mark.invariant(17)
def test_a_grid_that_was_not_compared_yet_places_nothing_and_is_halted_afterwards() -> None:
    """A lost ledger's exits may rest on the exchange; placing them again would double them."""
    book = replace(holding({98: "1", 99: "1"}), standing=Standing.RECONCILING)
    book, _ = taken(book, forced("1"))
    assert book.standing is Standing.RECONCILING
    batch = batch_on(book, closing(book, 98))
    with pytest.raises(Refusal) as refused:
        SlotManager(book).reserve(batch, deadline_ns=1, now_ns=1)
    assert refused.value.reason is RefusalReason.BOT_NOT_TRADING
    book = SlotManager(book).confirm(epoch=book.identity.epoch, now_ns=1).book
    assert (book.standing, book.standing_reason[:11]) == (Standing.HALTED, "LIQUIDATION")
    book = SlotManager(book).resume(now_ns=1).book
    book = SlotManager(book).confirm(epoch=book.identity.epoch, now_ns=1).book
    assert (book.standing, book.standing_reason) == (Standing.TRADING, "")
