"""`SlotManager` against a model of an exchange whose messages come late, twice, or never.

Whatever happens in between: once everything is known, the slots hold what the exchange holds.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from opensqt.core.actions import Action, ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.grid.book import Direction, GridBook, SlotStatus, Standing
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Order, OrderStatus, Purpose, Side
from opensqt.testing.grids import batch_on, cancel, closing, identity, opening
from tests.unit.core.grid.model_exchange import FEE, Known, ModelExchange, ModelLedger

PRICES = st.integers(98, 101)
"""Few, so that a slot has many orders one after the other."""
UNIT = D("0.001")
FILLS = st.tuples(st.integers(1, 3), st.integers(-1, 1))
ENDS = st.sampled_from([OrderStatus.CANCELED, OrderStatus.EXPIRED])


class Slots(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.exchange = ModelExchange()
        self.sent: dict[str, Order] = {}
        self.waiting: list[str] = []
        """Orders that were committed, and of which nobody knows whether they will be sent."""
        self.committed: list[ActionBatch] = []
        self.untaken = D(0)
        """What was closed by force while the grid did not know yet that it held it."""
        self.now_ns = 1

    @initialize(
        direction=st.sampled_from(Direction),
        fills=st.dictionaries(PRICES, st.lists(FILLS, max_size=3), min_size=1, max_size=4),
    )
    def begins(self, direction: Direction, fills: dict[int, list[tuple[int, int]]]) -> None:
        """With orders on the exchange, of which nothing was heard yet."""
        book = GridBook(identity=identity(direction=direction), standing=Standing.TRADING)
        self.ledger = ModelLedger(book)
        side = Side.SELL if direction is Direction.SHORT else Side.BUY
        for price in sorted(fills):
            self.decides(opening(price, quantity=str(5 * UNIT), side=side))
            order = self.sent[self.waiting.pop()]
            self.exchange.accept(order)
            self.fills(self.exchange.orders[order.client_oid], fills[price])

    @property
    def book(self) -> GridBook:
        return self.ledger.book

    # --- what the strategy wants --------------------------------------------------------------

    @rule(price=PRICES, side=st.sampled_from(Side), units=st.integers(1, 5))
    @precondition(lambda self: self.book.standing is Standing.TRADING)
    def opens(self, price: int, side: Side, units: int) -> None:
        """As a grid of its direction does."""
        slot, direction = self.book.slots.get(D(price)), self.book.identity.direction
        if direction is not Direction.NEUTRAL:
            side = Side.BUY if direction is Direction.LONG else Side.SELL
        if slot is None or (slot.status is SlotStatus.FREE and not slot.position_qty):
            self.decides(opening(price, quantity=str(units * UNIT), side=side))

    @rule(data=st.data(), beyond=st.sampled_from([0, 0, 0, -1, 1]))
    @precondition(lambda self: self.closable())
    def closes(self, data: st.DataObject, beyond: int) -> None:
        """What a slot holds, and neither more nor less."""
        place = closing(self.book, data.draw(st.sampled_from(self.closable())))
        if not beyond:
            self.decides(place)
        elif place.quantity + beyond * UNIT:
            wrong = replace(place, quantity=place.quantity + beyond * UNIT)
            self.is_refused(batch_on(self.book, wrong), RefusalReason.ILLEGAL_TRANSITION)

    @rule(data=st.data())
    @precondition(lambda self: self.book.live_orders())
    def cancels(self, data: st.DataObject) -> None:
        self.decides(cancel(data.draw(st.sampled_from(self.book.live_orders()))))

    @rule(price=PRICES)
    @precondition(lambda self: self.book.standing is Standing.HALTED)
    def opens_while_it_is_halted(self, price: int) -> None:
        batch = batch_on(self.book, opening(price))
        self.is_refused(batch, RefusalReason.BOT_NOT_TRADING)

    @rule(price=PRICES, side=st.sampled_from(Side))
    @precondition(lambda self: self.book.standing is Standing.TRADING)
    def opens_where_something_is(self, price: int, side: Side) -> None:
        slot = self.book.slots.get(D(price))
        if slot is not None and (slot.status is not SlotStatus.FREE or slot.position_qty):
            batch = batch_on(self.book, opening(price, side=side))
            self.is_refused(batch, RefusalReason.ILLEGAL_TRANSITION)

    @rule(price=PRICES, behind=st.integers(1, 3))
    @precondition(lambda self: self.book.revision)
    def decides_on_what_was(self, price: int, behind: int) -> None:
        batch = batch_on(self.book, opening(price))
        revision = self.book.revision - min(behind, self.book.revision)
        stale = replace(batch, state_revision=revision)
        if stale.batch_id not in self.ledger.batches:
            self.is_refused(stale, RefusalReason.STALE_REVISION)

    @rule(data=st.data())
    @precondition(lambda self: self.committed)
    def repeats_a_decision(self, data: st.DataObject) -> None:
        """Its caller died, or did not hear the answer; whoever repeats it sends nothing."""
        batch, before = data.draw(st.sampled_from(self.committed)), self.book
        outcome = self.ledger.transact(
            lambda m: m.reserve(batch, deadline_ns=self.now_ns, now_ns=self.now_ns)
        )
        assert outcome.value.repeated
        assert self.book == before

    # --- what happens on the exchange ---------------------------------------------------------

    @rule(data=st.data(), refused=st.booleans())
    @precondition(lambda self: self.waiting)
    def a_request_arrives(self, data: st.DataObject, *, refused: bool) -> None:
        oid = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(oid)
        if refused:
            self.exchange.refused.add(oid)
        else:
            self.exchange.accept(self.sent[oid])

    @rule(data=st.data(), fills=st.lists(FILLS, min_size=1, max_size=3))
    @precondition(lambda self: self.exchange.open())
    def an_order_trades(self, data: st.DataObject, fills: list[tuple[int, int]]) -> None:
        self.fills(data.draw(st.sampled_from(self.exchange.open())), fills)

    @rule(data=st.data(), status=ENDS)
    @precondition(lambda self: self.exchange.open())
    def an_order_ends(self, data: st.DataObject, status: OrderStatus) -> None:
        self.exchange.end(data.draw(st.sampled_from(self.exchange.open())), status)

    @rule(data=st.data())
    @precondition(lambda self: self.exchange.open())
    def an_order_fills_in_a_race_with_its_cancel(self, data: st.DataObject) -> None:
        self.exchange.race(data.draw(st.sampled_from(self.exchange.open())))

    # --- what comes through -------------------------------------------------------------------

    @rule(data=st.data(), again=st.booleans())
    @precondition(lambda self: self.exchange.told)
    def an_event_is_heard(self, data: st.DataObject, *, again: bool) -> None:
        event = data.draw(st.sampled_from(self.exchange.told))
        if not again:
            self.exchange.told.remove(event)
        self.hears(event)

    @rule(data=st.data())
    @precondition(lambda self: self.exchange.told)
    def an_event_is_lost(self, data: st.DataObject) -> None:
        self.exchange.told.remove(data.draw(st.sampled_from(self.exchange.told)))

    @rule(data=st.data())
    @precondition(lambda self: self.exchange.orders)
    def an_order_is_looked_up(self, data: st.DataObject) -> None:
        self.hears(self.exchange.look_up(self.any_order(data)))

    @rule(data=st.data())
    @precondition(lambda self: self.exchange.orders)
    def an_order_is_compared(self, data: st.DataObject) -> None:
        for told in self.exchange.history(self.any_order(data)):
            self.hears(told)

    @rule(data=st.data(), lost=st.booleans())
    @precondition(lambda self: self.ledger.orders.keys() & self.sent.keys())
    def a_request_is_answered(self, data: st.DataObject, *, lost: bool) -> None:
        oid = data.draw(st.sampled_from([oid for oid in self.sent if oid in self.ledger.orders]))
        if oid in self.exchange.refused:
            status = OrderStatus.REJECTED
        elif oid in self.exchange.orders and not lost:
            status = OrderStatus.NEW
        else:
            status = OrderStatus.UNKNOWN
        self.records(oid, status)

    @rule(data=st.data())
    @precondition(lambda self: self.ledger.orders.keys() & self.waiting)
    def a_request_is_given_up_too_early(self, data: st.DataObject) -> None:
        waiting = [oid for oid in self.waiting if oid in self.ledger.orders]
        self.records(data.draw(st.sampled_from(waiting)), OrderStatus.NOT_PLACED)

    @rule()
    def the_process_dies(self) -> None:
        """Whoever comes next reads the changes, and knows the same."""
        rebuilt = self.ledger.rebuilt()
        assert rebuilt == self.book
        self.ledger.book = rebuilt

    # --- what a person, or the exchange's own force, does to the whole grid -------------------

    @rule(share=st.sampled_from([D("0.5"), D(1)]), ticks=st.integers(-3, 3), blind=st.booleans())
    @precondition(lambda self: self.exchange.position)
    def a_position_is_closed_by_force(self, share: D, ticks: int, *, blind: bool) -> None:
        """Told after the fills that it closed, or before some of them were heard of."""
        told = self.exchange.force(share, D(100 + ticks))
        if not blind:
            self.hears_everything()
        taken = self.takes_over(told)
        assert self.book.standing is Standing.HALTED
        assert blind or self.untaken or taken == told.filled_quantity
        self.untaken += (told.filled_quantity - taken) * told.side.sign
        assert self.takes_over(told) == taken, "taking it over again changes nothing"

    @rule()
    @precondition(lambda self: self.book.standing is Standing.HALTED)
    def a_person_resumes_it(self) -> None:
        self.step(lambda m: m.resume(now_ns=self.now_ns))
        assert self.book.standing is Standing.RECONCILING
        self.is_compared_whole()

    @rule()
    @precondition(lambda self: len(self.ledger.changes) > 10)
    def the_ledger_is_lost(self) -> None:
        """Its successor has nothing but what the exchange tells, in order of time."""
        before = self.ledger.first.identity
        identity = replace(before, epoch=before.epoch + 1)
        self.ledger = ModelLedger(GridBook(identity=identity))
        self.committed.clear()
        untaken, self.untaken = self.untaken, D(0)
        for told in self.exchange.everything():
            if told.forced is Forced.NONE:
                self.hears(told)
            else:
                quantity = told.filled_quantity - self.takes_over(told)
                self.untaken += quantity * told.side.sign
        epoch = self.book.identity.epoch
        self.step(lambda m: m.confirm(epoch=epoch, now_ns=self.now_ns))
        assert untaken or not self.untaken, "whoever hears it in order leaves nothing out"

    # --- what holds all along -----------------------------------------------------------------

    @invariant()
    def slots_hold_what_their_orders_filled(self) -> None:
        by_slot: dict[D, D] = {}
        for order in self.ledger.orders.values():
            signed = order.filled_quantity * order.side.sign
            by_slot[order.slot_price] = by_slot.get(order.slot_price, D(0)) + signed
        assert {p: q for p, q in by_slot.items() if q} == {
            p: s.position_qty for p, s in self.book.slots.items() if s.position_qty
        }

    @invariant()
    def money_adds_up(self) -> None:
        orders = self.ledger.orders.values()
        cash = sum((-order.filled_quote * order.side.sign for order in orders), D(0))
        held = sum((s.entry_cost.copy_sign(s.position_qty) for s in self.book.slots.values()), D(0))
        assert self.book.totals.realised_pnl == cash + held

    @invariant()
    def no_order_is_of_two_slots(self) -> None:
        orders = [s.order.client_oid for s in self.book.slots.values() if s.order is not None]
        assert len(orders) == len(set(orders))
        assert set(orders) <= set(self.book.orders)

    def teardown(self) -> None:
        """Everything becomes known in the end: then both sides say the same, to the last digit."""
        if not hasattr(self, "ledger"):
            return
        for oid in self.ledger.orders.keys() & self.waiting:
            self.records(oid, OrderStatus.NOT_PLACED)
        for oid in self.ledger.orders.keys() & self.exchange.refused:
            self.records(oid, OrderStatus.REJECTED)
        for event in self.exchange.told:
            self.hears(event)
        self.hears_everything()
        book, exchange = self.book, self.exchange
        assert book.position + self.untaken == exchange.position
        assert {order.client_oid for order in book.live_orders()} == {
            known.order.client_oid for known in exchange.open()
        }
        for oid, known in exchange.orders.items():
            order = self.ledger.orders[oid]
            assert order.filled_quantity == order.executed_quantity == known.filled
            assert order.filled_quote == known.proceeds
        shares = [o for o in self.ledger.orders.values() if o.client_oid not in exchange.orders]
        forced = sum(len(o.execution_ids) for o in shares if o.filled_quantity)
        assert book.totals.fills == len(exchange.executions) + forced
        assert book.totals.fees == FEE * len(exchange.executions)

    # --- steps --------------------------------------------------------------------------------

    def closable(self) -> list[D]:
        """Prices of slots that hold something and have no order."""
        return [
            slot.price
            for slot in self.book.slots.values()
            if slot.status is SlotStatus.FREE and slot.position_qty and slot.exit_price
        ]

    def any_order(self, data: st.DataObject) -> Known:
        return data.draw(st.sampled_from(list(self.exchange.orders.values())))

    def fills(self, known: Known, fills: list[tuple[int, int]]) -> None:
        for units, ticks in fills:
            if not known.status.terminal:
                self.exchange.trade(known, units * UNIT, known.order.price + ticks)

    def decides(self, action: Action) -> None:
        batch, holdings = batch_on(self.book, action), self.book.slots
        outcome = self.step(lambda m: m.reserve(batch, deadline_ns=self.now_ns, now_ns=self.now_ns))
        self.committed.append(batch)
        for order in outcome.value.to_place:
            assert order.client_oid not in self.sent, "an id was used twice"
            if order.purpose is Purpose.CLOSE:
                assert order.quantity == abs(holdings[order.slot_price].position_qty)
            self.sent[order.client_oid] = order
            self.waiting.append(order.client_oid)

    def is_refused(self, batch: ActionBatch, reason: RefusalReason) -> None:
        before = self.book
        with pytest.raises(Refusal) as refused:
            self.step(lambda m: m.reserve(batch, deadline_ns=self.now_ns, now_ns=self.now_ns))
        assert refused.value.reason is reason
        assert self.book == before

    def takes_over(self, told: OrderUpdate) -> D:
        """How much of what was closed by force the grid had held."""
        quantity: D = self.step(
            lambda m: m.force(
                told, offered=told.filled_quantity, elsewhere=D(0), now_ns=self.now_ns
            )
        ).value.quantity
        return quantity

    def hears_everything(self) -> None:
        for known in self.exchange.orders.values():
            for told in self.exchange.history(known):
                self.hears(told)

    def is_compared_whole(self) -> None:
        self.hears_everything()
        epoch = self.book.identity.epoch
        self.step(lambda m: m.confirm(epoch=epoch, now_ns=self.now_ns))

    def hears(self, event: OrderUpdate) -> None:
        outcome = self.step(lambda m: m.apply(event, now_ns=self.now_ns))
        assert not outcome.value.quarantined
        again = self.step(lambda m: m.apply(event, now_ns=self.now_ns))
        assert again.change is None, "applying it again changes nothing"

    def records(self, oid: str, status: OrderStatus) -> None:
        result = PlacementResult(client_oid=oid, status=status)
        self.step(lambda m: m.record((result,), now_ns=self.now_ns))

    def step(self, decide: Callable[[Any], Any]) -> Any:
        self.now_ns += 1
        return self.ledger.transact(decide)


@pytest.mark.invariant(1, 2, 3, 4, 5, 6, 7, 15, 16, 42, 43, 47)
class TestSlots(Slots.TestCase):  # type: ignore[misc]
    settings = settings(
        max_examples=120,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
