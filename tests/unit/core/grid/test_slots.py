"""`SlotManager`: what a slot takes, what it holds, what it earns, and how its orders end."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.actions import Action
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import Direction, GridBook, SlotStatus, apply_change
from opensqt.core.grid.draft import BACKOFF_FIRST_NS, BACKOFF_MAX_NS
from opensqt.core.grid.results import PlacementResult
from opensqt.core.grid.slots import SlotManager
from opensqt.core.identifiers import parse_order_id
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose, Side
from opensqt.testing.grids import (
    DEADLINE_NS,
    NOW_NS,
    batch_on,
    cancel,
    closing,
    execution,
    filled,
    foreign,
    grid,
    identity,
    opening,
    update,
)


def empty(direction: Direction = Direction.LONG) -> GridBook:
    return grid(direction=direction)


def placed(book: GridBook, *actions: Action, now_ns: int = NOW_NS) -> tuple[GridBook, Order]:
    outcome = SlotManager(book).reserve(
        batch_on(book, *actions), deadline_ns=DEADLINE_NS, now_ns=now_ns
    )
    return outcome.book, outcome.value.to_place[0]


def traded(book: GridBook, action: Action, name: str, *, price: str | None = None) -> GridBook:
    book, order = placed(book, action)
    return SlotManager(book).apply(filled(order, name, price=price), now_ns=NOW_NS).book


def recorded(book: GridBook, order: Order, status: OrderStatus, now_ns: int = NOW_NS) -> GridBook:
    result = PlacementResult(client_oid=order.client_oid, status=status)
    return SlotManager(book).record((result,), now_ns=now_ns).book


# --- intents --------------------------------------------------------------------------------------


def test_an_intent_has_all_that_sending_needs() -> None:
    _, order = placed(empty(), opening(99, quantity="0.5"))
    assert order.status is OrderStatus.PENDING
    assert (order.price, order.quantity, order.exit_price) == (D(99), D("0.5"), D(100))
    assert (order.batch_id, order.deadline_ns, order.created_ns) == (
        f"btc:{identity().epoch}:0",
        DEADLINE_NS,
        NOW_NS,
    )
    parsed = parse_order_id(order.client_oid)
    assert parsed is not None
    assert (parsed.slot_price, parsed.side, parsed.purpose, parsed.cycle) == (
        D(99),
        Side.BUY,
        Purpose.OPEN,
        0,
    )


@pytest.mark.invariant(1)
def test_no_id_is_ever_used_twice() -> None:
    book, ids = empty(), set()
    for n in range(4):
        book, order = placed(book, opening(99))
        ids.add(order.client_oid)
        ended = filled(order, f"e{n}") if n % 2 else update(order, OrderStatus.CANCELED)
        book = SlotManager(book).apply(ended, now_ns=NOW_NS).book
        if n % 2:
            book = traded(book, closing(book, 99), f"c{n}")
    assert len(ids) == 4
    assert book.slots[D(99)].cycle == 6


@pytest.mark.invariant(6)
@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (opening(99), "a slot that is FREE"),
        (opening(98), "opening only while EMPTY; the slot holds 0.01"),
        (replace(opening(97), exit_price=None), "an opening order with an exit price"),
        (replace(opening(97), quantity=D(0)), "a positive price and quantity"),
        (replace(opening(97), price=D(-1)), "a positive price and quantity"),
        (replace(opening(97), purpose=Purpose.CLOSE), "closing against what the slot holds, 0"),
        (replace(opening(98), purpose=Purpose.CLOSE), "closing against what the slot holds, 0.01"),
        (
            replace(opening(98, side=Side.SELL, quantity="0.02"), purpose=Purpose.CLOSE),
            "closing exactly 0.01",
        ),
        (
            replace(opening(98, side=Side.SELL, quantity="0.009"), purpose=Purpose.CLOSE),
            "closing exactly 0.01",
        ),
    ],
)
def test_a_slot_refuses(action: Action, allowed: str) -> None:
    book = traded(empty(), opening(98), "e1")
    book, _ = placed(book, opening(99))
    with pytest.raises(Refusal) as refused:
        placed(book, opening(96), action)
    assert refused.value.reason is RefusalReason.ILLEGAL_TRANSITION
    assert refused.value.field == "batch.actions[1].place"
    assert refused.value.allowed == allowed


@pytest.mark.invariant(5)
def test_one_batch_places_one_order_on_a_slot() -> None:
    with pytest.raises(Refusal) as refused:
        placed(empty(), opening(99), opening(99))
    assert refused.value.reason is RefusalReason.ILLEGAL_TRANSITION


@pytest.mark.parametrize("price", ["99.5", "-1", "0"])
def test_prices_off_the_grid_are_refused(price: str) -> None:
    with pytest.raises(Refusal) as refused:
        placed(empty(), replace(opening(99), slot_price=D(price)))
    assert refused.value.reason is RefusalReason.VALUE_NOT_ALLOWED
    assert refused.value.field == "batch.actions[0].place.slot_price"


@pytest.mark.invariant(7)
def test_a_decision_on_another_revision_is_refused() -> None:
    book, _ = placed(empty(), opening(99))
    for revision in (0, 2):
        stale = replace(batch_on(book, opening(98)), state_revision=revision)
        with pytest.raises(Refusal) as refused:
            SlotManager(replace(book, batches={})).reserve(
                stale, deadline_ns=DEADLINE_NS, now_ns=NOW_NS
            )
        assert refused.value.reason is RefusalReason.STALE_REVISION
        assert refused.value.allowed == "1"


def test_a_batch_is_committed_once() -> None:
    book = empty()
    batch = batch_on(book, opening(99), opening(98))
    first = SlotManager(book).reserve(batch, deadline_ns=DEADLINE_NS, now_ns=NOW_NS)
    book = recorded(first.book, first.value.to_place[0], OrderStatus.REJECTED)
    again = SlotManager(book).reserve(batch, deadline_ns=DEADLINE_NS, now_ns=NOW_NS)
    assert again.change is None
    assert again.value.repeated
    assert [order.status for order in again.value.to_place] == [
        OrderStatus.REJECTED,
        OrderStatus.PENDING,
    ]


def test_a_batch_always_moves_the_revision() -> None:
    """So that the next decision has a batch id of its own."""
    book, order = placed(empty(), opening(99))
    for revision in (2, 3):
        batch = batch_on(book, cancel(order))
        outcome = SlotManager(book).reserve(batch, deadline_ns=DEADLINE_NS, now_ns=NOW_NS)
        assert outcome.change is not None
        book = outcome.book
        assert book.revision == revision


# --- what is earned -------------------------------------------------------------------------------


def test_a_long_slot_earns_what_lies_between() -> None:
    book = traded(empty(), opening(99, quantity="2"), "e1")
    assert (book.slots[D(99)].position_qty, book.slots[D(99)].entry_cost) == (D(2), D(198))
    book = traded(book, closing(book, 99), "e2")
    slot = book.slots[D(99)]
    assert (slot.position_qty, slot.entry_cost, slot.exit_price) == (D(0), D(0), None)
    assert book.totals.realised_pnl == D(2)
    assert (book.totals.fills, book.totals.buys, book.totals.sells, book.totals.orders) == (2, 1, 1, 2)  # fmt: skip


def test_a_short_slot_earns_what_lies_between() -> None:
    book = traded(empty(Direction.SHORT), opening(101, quantity="2", side=Side.SELL), "e1")
    slot = book.slots[D(101)]
    assert (slot.position_qty, slot.entry_cost, slot.exit_price) == (D(-2), D(202), D(100))
    close = closing(book, 101)
    assert (close.side, close.quantity, close.price) == (Side.BUY, D(2), D(100))
    book = traded(book, close, "e2")
    assert book.slots[D(101)].position_qty == 0
    assert book.totals.realised_pnl == D(2)


def test_a_neutral_grid_holds_both_ways() -> None:
    book = traded(empty(Direction.NEUTRAL), opening(99), "e1")
    book = traded(book, opening(101, side=Side.SELL), "e2")
    assert book.position == 0
    assert [slot.position_qty for slot in book.slots.values()] == [D("0.01"), D("-0.01")]


@pytest.mark.invariant(16)
def test_parts_of_a_cost_add_up_to_it() -> None:
    book, order = placed(empty(), opening(99, quantity="3"))
    fill = execution(order, "e1", "3", price="98.333333333333333333")
    book = SlotManager(book).apply(update(order, OrderStatus.FILLED, "3", fill=fill), now_ns=1).book
    book, close = placed(book, closing(book, 99))
    for n in range(3):
        part = execution(close, f"c{n}", "1", price="99.7")
        event = update(close, OrderStatus.PARTIALLY_FILLED, D(n + 1), fill=part)
        book = SlotManager(book).apply(event, now_ns=NOW_NS).book
    assert book.slots[D(99)].entry_cost == 0
    assert book.totals.realised_pnl == 3 * D("99.7") - 3 * D("98.333333333333333333")


def test_fees_in_another_asset_are_counted_apart() -> None:
    book, order = placed(empty(), opening(99, quantity="3"))
    fees = (("e1", "0.1", "USDT"), ("e2", "0.001", "BNB"), ("e3", None, ""))
    for n, (name, fee, asset) in enumerate(fees):
        fill = execution(order, name, "1", fee=fee, fee_asset=asset)
        event = update(order, OrderStatus.PARTIALLY_FILLED, D(n + 1), fill=fill)
        book = SlotManager(book).apply(event, now_ns=NOW_NS).book
    assert (book.totals.fees, book.totals.fees_unknown, book.totals.fills) == (D("0.1"), 2, 3)


def test_a_rebate_is_a_negative_fee() -> None:
    book, order = placed(empty(), opening(99))
    fill = execution(order, "e1", "0.01", fee="-0.3")
    event = update(order, OrderStatus.FILLED, "0.01", fill=fill)
    assert SlotManager(book).apply(event, now_ns=1).book.totals.fees == D("-0.3")


def test_a_fill_without_execution_costs_its_average() -> None:
    book, order = placed(empty(), opening(99, quantity="2"))
    event = update(order, OrderStatus.PARTIALLY_FILLED, "1", average="98.5")
    book = SlotManager(book).apply(event, now_ns=1).book
    assert book.slots[D(99)].entry_cost == D("98.5")
    event = update(order, OrderStatus.FILLED, "2", average="98.6")
    book = SlotManager(book).apply(event, now_ns=1).book
    assert book.slots[D(99)].entry_cost == D("197.2")


# --- partial closes, late fills, flips ------------------------------------------------------------


@pytest.mark.invariant(6, 44)
def test_what_a_cancelled_close_left_is_closed_exactly() -> None:
    book = traded(empty(), opening(99, quantity="1"), "e1")
    book, close = placed(book, closing(book, 99))
    part = execution(close, "c1", "0.4")
    for event in (
        update(close, OrderStatus.PARTIALLY_FILLED, "0.4", fill=part),
        update(close, OrderStatus.CANCELED, "0.4"),
    ):
        book = SlotManager(book).apply(event, now_ns=1).book
    slot = book.slots[D(99)]
    assert (slot.status, slot.position_qty, slot.exit_price) == (SlotStatus.FREE, D("0.6"), D(100))
    book, rest = placed(book, closing(book, 99))
    assert rest.quantity == D("0.6")


@pytest.mark.invariant(44)
def test_an_opening_that_was_partially_filled_is_closed_by_what_filled() -> None:
    book, order = placed(empty(), opening(99, quantity="1"))
    part = execution(order, "e1", "0.3")
    for event in (
        update(order, OrderStatus.PARTIALLY_FILLED, "0.3", fill=part),
        update(order, OrderStatus.CANCELED, "0.3"),
    ):
        book = SlotManager(book).apply(event, now_ns=1).book
    book = traded(book, closing(book, 99), "c1")
    assert book.position == 0


def test_a_fill_after_two_closes_is_held_the_other_way() -> None:
    """The first close was given up, placed again, and both of them traded in the end."""
    book = traded(empty(), opening(99, quantity="1"), "e1")
    book, lost = placed(book, closing(book, 99))
    book = recorded(book, lost, OrderStatus.NOT_PLACED)
    book = traded(book, closing(book, 99), "c2")
    book = SlotManager(book).apply(filled(lost, "c1"), now_ns=1).book
    slot = book.slots[D(99)]
    assert (slot.position_qty, slot.entry_cost, slot.exit_price) == (D(-1), D(100), None)
    assert book.totals.realised_pnl == D(1)


def test_a_fill_that_closes_more_than_is_held_opens_the_rest_the_other_way() -> None:
    book = traded(empty(), opening(99, quantity="1"), "e1")
    book, lost = placed(book, closing(book, 99))
    book = recorded(book, lost, OrderStatus.NOT_PLACED)
    book, close = placed(book, closing(book, 99))
    half = execution(close, "c2", "0.5")
    event = update(close, OrderStatus.PARTIALLY_FILLED, "0.5", fill=half)
    book = SlotManager(book).apply(event, now_ns=1).book
    book = SlotManager(book).apply(filled(lost, "c1", price="101"), now_ns=1).book
    slot = book.slots[D(99)]
    assert (slot.position_qty, slot.entry_cost) == (D("-0.5"), D("50.5"))
    assert slot.exit_price is None  # the long's exit would be no exit for a short
    assert book.totals.realised_pnl == D("0.5") * (100 - 99) + D("0.5") * (101 - 99)


def test_a_late_execution_on_an_empty_slot_leaves_it_empty() -> None:
    book, order = placed(empty(), opening(99))
    event = update(order, OrderStatus.FILLED, "0.01", average="99")
    book = SlotManager(book).apply(event, now_ns=1).book
    book = traded(book, closing(book, 99), "c1")
    book = SlotManager(book).apply(filled(order, "e1"), now_ns=1).book
    slot = book.slots[D(99)]
    assert (slot.position_qty, slot.entry_cost, slot.exit_price) == (D(0), D(0), None)
    assert book.totals.fills == 2


# --- endings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "said", "reason"),
    [
        (OrderStatus.CANCELED, EndReason.NONE, EndReason.CANCEL_REQUESTED),
        (OrderStatus.CANCELED, EndReason.FORCED, EndReason.FORCED),
        (OrderStatus.EXPIRED, EndReason.SELF_TRADE_PREVENTION, EndReason.SELF_TRADE_PREVENTION),
        (OrderStatus.EXPIRED, EndReason.NONE, EndReason.NONE),
    ],
)
def test_an_order_ends_for_a_reason(ends: OrderStatus, said: EndReason, reason: EndReason) -> None:
    book, order = placed(empty(), opening(99))
    book = SlotManager(book).reserve(batch_on(book, cancel(order)), deadline_ns=1, now_ns=1).book
    book = SlotManager(book).apply(update(order, ends, reason=said), now_ns=1).book
    assert book.orders[order.client_oid].end_reason is reason
    book = SlotManager(book).apply(filled(order, "e1"), now_ns=1).book
    known = book.orders[order.client_oid]
    assert (known.status, known.end_reason) == (OrderStatus.FILLED, EndReason.NONE)


def test_refusals_in_a_row_make_a_slot_wait_longer() -> None:
    book, now_ns, waits = empty(), NOW_NS, []
    for _ in range(10):
        book, order = placed(book, opening(99), now_ns=now_ns)
        book = recorded(book, order, OrderStatus.REJECTED, now_ns)
        waits.append(book.slots[D(99)].blocked_until_ns - now_ns)
        now_ns += 1
    assert waits[:3] == [BACKOFF_FIRST_NS, 2 * BACKOFF_FIRST_NS, 4 * BACKOFF_FIRST_NS]
    assert waits[-1] == BACKOFF_MAX_NS
    assert book.slots[D(99)].rejections == 10
    book = traded(book, opening(99), "e1")
    assert (book.slots[D(99)].rejections, book.slots[D(99)].blocked_until_ns) == (0, 0)


def test_a_cancel_that_was_asked_for_is_no_refusal() -> None:
    book, order = placed(empty(), opening(99))
    book = SlotManager(book).reserve(batch_on(book, cancel(order)), deadline_ns=1, now_ns=1).book
    book = SlotManager(book).apply(update(order, OrderStatus.CANCELED), now_ns=1).book
    assert (book.slots[D(99)].rejections, book.slots[D(99)].blocked_until_ns) == (0, 0)


@pytest.mark.invariant(50, 51)
@pytest.mark.parametrize(
    ("status", "reason", "part"),
    [
        (status, reason, part)
        for status, reason in (
            (OrderStatus.CANCELED, EndReason.POST_ONLY_WOULD_TAKE),  # Bybit, after accepting it
            (OrderStatus.CANCELED, EndReason.SELF_TRADE_PREVENTION),
            (OrderStatus.CANCELED, EndReason.NONE),
            (OrderStatus.EXPIRED, EndReason.SELF_TRADE_PREVENTION),
            (OrderStatus.EXPIRED, EndReason.POST_ONLY_WOULD_TAKE),
            (OrderStatus.REJECTED, EndReason.POST_ONLY_WOULD_TAKE),
        )
        for part in ("0", "0.004")
        if status is not OrderStatus.REJECTED or part == "0"  # what traded was not rejected
    ],
)
def test_what_the_exchange_ends_by_itself_is_not_placed_again_at_once(
    status: OrderStatus, reason: EndReason, part: str
) -> None:
    book, order = placed(empty(), opening(99))
    if part != "0":
        fill = execution(order, "e1", part)
        told = update(order, OrderStatus.PARTIALLY_FILLED, part, fill=fill)
        book = SlotManager(book).apply(told, now_ns=NOW_NS).book
    ended = update(order, status, part, reason=reason)
    book = SlotManager(book).apply(ended, now_ns=NOW_NS).book
    assert book.slots[D(99)].blocked_until_ns == NOW_NS + BACKOFF_FIRST_NS


def test_an_order_given_up_and_found_comes_back_to_its_slot() -> None:
    book, order = placed(empty(), opening(99))
    book = recorded(book, order, OrderStatus.NOT_PLACED)
    book = SlotManager(book).apply(update(order, OrderStatus.NEW), now_ns=1).book
    assert book.slots[D(99)].status is SlotStatus.LOCKED
    assert book.slots[D(99)].order == book.orders[order.client_oid]


def test_an_order_given_up_and_found_too_late_strays() -> None:
    """Its slot has another order by then; it stays live, is watched, and its fills count."""
    book, lost = placed(empty(), opening(99))
    book = recorded(book, lost, OrderStatus.NOT_PLACED)
    book, order = placed(book, opening(99))
    book = SlotManager(book).apply(update(lost, OrderStatus.NEW), now_ns=1).book
    assert book.slots[D(99)].order == order
    assert {o.client_oid for o in book.live_orders()} == {lost.client_oid, order.client_oid}
    book = SlotManager(book).reserve(batch_on(book, cancel(lost)), deadline_ns=1, now_ns=1).book
    assert book.orders[lost.client_oid].cancel_requested
    book = SlotManager(book).apply(filled(lost, "e1"), now_ns=1).book
    assert book.slots[D(99)].order == order
    assert book.position == lost.quantity
    assert book.strays == frozenset()


def test_an_order_that_strays_takes_the_slot_when_the_other_one_ends() -> None:
    book, lost = placed(empty(), opening(99))
    book = recorded(book, lost, OrderStatus.NOT_PLACED)
    book, order = placed(book, opening(99))
    book = SlotManager(book).apply(update(lost, OrderStatus.NEW), now_ns=1).book
    assert book.strays == {lost.client_oid}
    for known in (book.strays, None):  # None: as the book comes from the store
        ended = recorded(replace(book, strays=known), order, OrderStatus.REJECTED)
        assert ended.slots[D(99)].order == ended.orders[lost.client_oid]
        assert ended.strays == frozenset()


# --- strangers ------------------------------------------------------------------------------------


def test_contradictions_are_put_aside() -> None:
    book, order = placed(empty(), opening(99, quantity="1"))
    half = execution(order, "e1", "0.5")
    book = (
        SlotManager(book)
        .apply(update(order, OrderStatus.PARTIALLY_FILLED, "0.5", fill=half), now_ns=1)
        .book
    )
    good = filled(order, "e2")
    for event, why in (
        (foreign(), "not an order of this grid"),
        (replace(good, account="other"), "account main, not other"),
        (replace(good, symbol="ETHUSDT"), "not BUY ETHUSDT"),
        (replace(good, side=Side.SELL), "not SELL BTCUSDT"),
        (replace(good, quantity=D(2)), "we ordered 1, not 2"),
        (replace(good, exchange_order_id="4712"), "our order 4711; 4712 is another one"),
        (good, "filled 1.5 of 1"),
        (update(order, OrderStatus.FILLED, "0.7"), "FILLED with 0.7 of 1"),
        (update(order, OrderStatus.NEW, "1.1"), "filled 1.1 of 1"),
    ):
        outcome = SlotManager(book).apply(event, now_ns=1)
        assert why in outcome.value.quarantined
        assert outcome.change is None
        assert outcome.book == book


def test_an_answer_about_a_stranger_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        SlotManager(empty()).record(
            (PlacementResult(client_oid="x", status=OrderStatus.NEW),), now_ns=1
        )
    assert refused.value.reason is RefusalReason.ORDER_UNKNOWN


def test_a_watcher_that_missed_a_change_notices() -> None:
    book = traded(empty(), opening(99), "e1")
    outcome = SlotManager(book).reserve(batch_on(book, opening(98)), deadline_ns=1, now_ns=1)
    assert outcome.change is not None
    with pytest.raises(ValueError, match="cannot apply revision 3"):
        apply_change(empty(), outcome.change)
