"""`SlotManager` against a model of an exchange whose messages come late, twice, or never.

Whatever happens in between: once everything is known, the slots hold what the exchange holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import Direction, SlotStatus, apply_change
from opensqt.core.grid.invariants import book_problem
from opensqt.core.grid.results import Outcome, PlacementResult
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Order, OrderStatus, Purpose, Side
from opensqt.testing.grids import batch_on, cancel, closing, execution, grid, opening, update

T = TypeVar("T")

PRICES = st.integers(96, 104)
UNIT = D("0.001")


@dataclass
class OnExchange:
    """An order as the exchange knows it."""

    order: Order
    status: OrderStatus = OrderStatus.NEW
    filled: D = D(0)
    executions: int = 0
    proceeds: D = D(0)


@dataclass
class Exchange:
    """The orders that arrived, and what was told of them and not heard yet."""

    orders: dict[str, OnExchange] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    told: list[OrderUpdate] = field(default_factory=list)

    @property
    def position(self) -> D:
        return sum((known.filled * known.order.side.sign for known in self.orders.values()), D(0))

    def look_up(self, known: OnExchange) -> OrderUpdate:
        average = str(known.proceeds / known.filled) if known.filled else None
        return update(known.order, known.status, known.filled, average=average)


class Slots(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.book = grid(direction=Direction.NEUTRAL)
        self.watched = self.book
        self.exchange = Exchange()
        self.sent: dict[str, Order] = {}
        self.waiting: list[str] = []
        """Orders that were committed, and of which nobody knows whether they will be sent."""
        self.now_ns = 1

    # --- the grid -----------------------------------------------------------------------------

    @rule(price=PRICES, side=st.sampled_from(Side), units=st.integers(1, 5))
    def open(self, price: int, side: Side, units: int) -> None:
        slot = self.book.slots.get(D(price))
        if slot is None or (slot.status is SlotStatus.FREE and not slot.position_qty):
            self.commit_batch(opening(price, quantity=str(units * UNIT), side=side))

    @rule(price=PRICES)
    def close(self, price: int) -> None:
        slot = self.book.slots.get(D(price))
        if slot and slot.status is SlotStatus.FREE and slot.position_qty and slot.exit_price:
            self.commit_batch(closing(self.book, price))

    @rule(data=st.data())
    @precondition(lambda self: self.book.live_orders())
    def ask_to_cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.book.live_orders()))
        self.commit_batch(cancel(order))

    # --- the exchange -------------------------------------------------------------------------

    @rule(data=st.data(), refused=st.booleans())
    @precondition(lambda self: self.waiting)
    def arrives(self, data: st.DataObject, *, refused: bool) -> None:
        oid = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(oid)
        if refused:
            self.exchange.refused.add(oid)
        else:
            self.exchange.orders[oid] = OnExchange(self.sent[oid])

    @rule(data=st.data(), units=st.integers(1, 5), ticks=st.integers(-1, 1))
    @precondition(lambda self: self.open_on_exchange())
    def trades(self, data: st.DataObject, units: int, ticks: int) -> None:
        known = data.draw(st.sampled_from(self.open_on_exchange()))
        quantity = min(units * UNIT, known.order.quantity - known.filled)
        price = known.order.price + ticks
        known.filled += quantity
        known.executions += 1
        known.proceeds += quantity * price
        whole = known.filled == known.order.quantity
        known.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        name = f"{known.order.client_oid}-{known.executions}"
        fill = execution(known.order, name, quantity, price=price, fee="0.1")
        self.exchange.told.append(update(known.order, known.status, known.filled, fill=fill))

    @rule(data=st.data(), status=st.sampled_from([OrderStatus.CANCELED, OrderStatus.EXPIRED]))
    @precondition(lambda self: self.open_on_exchange())
    def ends(self, data: st.DataObject, status: OrderStatus) -> None:
        known = data.draw(st.sampled_from(self.open_on_exchange()))
        known.status = status
        self.exchange.told.append(update(known.order, status, known.filled))

    # --- what comes through -------------------------------------------------------------------

    @rule(data=st.data(), again=st.booleans(), executions=st.booleans())
    @precondition(lambda self: self.exchange.told)
    def hears(self, data: st.DataObject, *, again: bool, executions: bool) -> None:
        event = data.draw(st.sampled_from(self.exchange.told))
        if not again:
            self.exchange.told.remove(event)
        self.apply(event)
        if executions:
            self.apply(event)

    @rule(data=st.data())
    @precondition(lambda self: self.exchange.orders)
    def looks_up(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(list(self.exchange.orders.values())))
        self.apply(self.exchange.look_up(known))

    @rule(data=st.data(), lost=st.booleans())
    @precondition(lambda self: self.sent)
    def is_answered(self, data: st.DataObject, *, lost: bool) -> None:
        oid = data.draw(st.sampled_from(list(self.sent)))
        if oid in self.exchange.refused:
            status = OrderStatus.REJECTED
        elif oid in self.exchange.orders and not lost:
            status = OrderStatus.NEW
        else:
            status = OrderStatus.UNKNOWN
        self.answer(oid, status)

    @rule(data=st.data())
    @precondition(lambda self: self.waiting)
    def is_given_up_too_early(self, data: st.DataObject) -> None:
        self.answer(data.draw(st.sampled_from(self.waiting)), OrderStatus.NOT_PLACED)

    # --- what holds all along -----------------------------------------------------------------

    @invariant()
    def the_book_is_sound(self) -> None:
        assert not book_problem(self.book)

    @invariant()
    def slots_hold_what_their_orders_filled(self) -> None:
        by_slot: dict[D, D] = {}
        for order in self.book.orders.values():
            signed = order.filled_quantity * order.side.sign
            by_slot[order.slot_price] = by_slot.get(order.slot_price, D(0)) + signed
        assert {p: q for p, q in by_slot.items() if q} == {
            p: s.position_qty for p, s in self.book.slots.items() if s.position_qty
        }

    @invariant()
    def money_adds_up(self) -> None:
        cash = sum((-o.filled_quote * o.side.sign for o in self.book.orders.values()), D(0))
        held = sum((s.entry_cost.copy_sign(s.position_qty) for s in self.book.slots.values()), D(0))
        assert self.book.totals.realised_pnl == cash + held

    @invariant()
    def a_watcher_knows_the_same(self) -> None:
        assert self.watched == self.book.trimmed()

    def teardown(self) -> None:
        for oid in self.waiting:
            self.answer(oid, OrderStatus.NOT_PLACED)
        for oid in self.exchange.refused:
            self.answer(oid, OrderStatus.REJECTED)
        for event in self.exchange.told:
            self.apply(event)
        for known in self.exchange.orders.values():
            self.apply(self.exchange.look_up(known))
        assert self.book.position == self.exchange.position
        open_there = {known.order.client_oid for known in self.open_on_exchange()}
        assert {order.client_oid for order in self.book.live_orders()} == open_there
        for oid, known in self.exchange.orders.items():
            assert self.book.orders[oid].filled_quantity == known.filled

    # --- steps --------------------------------------------------------------------------------

    def open_on_exchange(self) -> list[OnExchange]:
        return [k for k in self.exchange.orders.values() if not k.status.terminal]

    def commit_batch(self, action: object) -> None:
        outcome = self.step(
            lambda m: m.reserve(
                batch_on(self.book, action),  # type: ignore[arg-type]
                deadline_ns=self.now_ns,
                now_ns=self.now_ns,
            )
        )
        for order in outcome.value.to_place:
            assert order.client_oid not in self.sent, "an id was used twice"
            assert order.purpose in Purpose
            self.sent[order.client_oid] = order
            self.waiting.append(order.client_oid)

    def apply(self, event: OrderUpdate) -> None:
        outcome = self.step(lambda m: m.apply(event, now_ns=self.now_ns))
        assert not outcome.value.quarantined
        again = SlotManager(self.book).apply(event, now_ns=self.now_ns)
        assert again.change is None, "applying it again changes nothing"

    def answer(self, oid: str, status: OrderStatus) -> None:
        result = PlacementResult(client_oid=oid, status=status)
        self.step(lambda m: m.record((result,), now_ns=self.now_ns))

    def step(self, decide: Callable[[SlotManager], Outcome[T]]) -> Outcome[T]:
        self.now_ns += 1
        before = self.book.orders
        outcome = decide(SlotManager(self.book))
        if outcome.change is not None:
            self.book = outcome.book
            self.watched = apply_change(self.watched, outcome.change)
        for oid, order in before.items():
            assert self.book.orders[oid].filled_quantity >= order.filled_quantity
        return outcome


TestSlots = Slots.TestCase
TestSlots.settings = settings(
    max_examples=120,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
