"""One order against a model of the exchange: what is known of it never runs ahead of the truth."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Execution, Order, OrderStatus, Side
from opensqt.testing.grids import batch_on, cancel, identity, opening, update
from tests.unit.core.grid.model_exchange import Known, ModelExchange, ModelLedger

QUANTITY = D(10)


def too_much(told: OrderUpdate) -> OrderUpdate:
    """The same with an execution of more than was ordered."""
    fill = Execution(
        execution_id="too much",
        client_oid=told.client_oid,
        symbol=told.symbol,
        side=told.side,
        price=D(99),
        quantity=QUANTITY + 1,
        fee=None,
        fee_asset="",
        maker=True,
        exchange_time_ns=1,
    )
    return replace(told, execution=fill)


CONTRADICTIONS: dict[str, Callable[[OrderUpdate], OrderUpdate]] = {
    "another side": lambda u: replace(u, side=Side.SELL),
    "another market": lambda u: replace(u, symbol="ETHUSDT"),
    "another account": lambda u: replace(u, account="other"),
    "another quantity": lambda u: replace(u, quantity=QUANTITY + 1),
    "more than was ordered": lambda u: replace(u, filled_quantity=QUANTITY + 1),
    "filled, with something left": lambda u: replace(
        u, status=OrderStatus.FILLED, filled_quantity=D(0), execution=None
    ),
    "an execution of more than was ordered": too_much,
}


class AnOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        book = GridBook(identity=identity(), standing=Standing.TRADING)
        self.ledger = ModelLedger(book)
        self.exchange = ModelExchange()
        self.refused = False
        self.now_ns = 1
        batch = batch_on(book, opening(99, quantity=str(QUANTITY)))
        [self.intent] = self.step(
            lambda m: m.reserve(batch, deadline_ns=5, now_ns=1)
        ).value.to_place

    @property
    def order(self) -> Order:
        return self.ledger.orders[self.intent.client_oid]

    @property
    def truth(self) -> Known | None:
        """The order as the exchange has it."""
        return self.exchange.orders.get(self.intent.client_oid)

    # --- what happens -------------------------------------------------------------------------

    @rule(refused=st.booleans())
    @precondition(lambda self: self.truth is None and not self.refused)
    def it_arrives(self, *, refused: bool) -> None:
        self.refused = refused
        if not refused:
            self.exchange.accept(self.intent)

    @rule(quantity=st.integers(1, 10), ticks=st.integers(-2, 2))
    @precondition(lambda self: self.exchange.open())
    def it_trades(self, quantity: int, ticks: int) -> None:
        [known] = self.exchange.open()
        self.exchange.trade(known, D(quantity), self.intent.price + ticks)

    @rule(status=st.sampled_from([OrderStatus.CANCELED, OrderStatus.EXPIRED]))
    @precondition(lambda self: self.exchange.open())
    def it_ends(self, status: OrderStatus) -> None:
        [known] = self.exchange.open()
        self.exchange.end(known, status)

    @rule()
    @precondition(lambda self: self.exchange.open())
    def it_fills_in_a_race_with_its_cancel(self) -> None:
        [known] = self.exchange.open()
        self.exchange.race(known)

    @rule()
    @precondition(lambda self: not self.order.status.terminal)
    def its_cancel_is_committed(self) -> None:
        batch = batch_on(self.ledger.book, cancel(self.intent))
        self.step(lambda m: m.reserve(batch, deadline_ns=5, now_ns=self.now_ns))

    # --- what is heard ------------------------------------------------------------------------

    @rule(data=st.data(), again=st.booleans())
    @precondition(lambda self: self.exchange.told)
    def an_event_is_heard(self, data: st.DataObject, *, again: bool) -> None:
        event = data.draw(st.sampled_from(self.exchange.told))
        if not again:
            self.exchange.told.remove(event)
        self.hears(event)

    @rule()
    @precondition(lambda self: self.truth is not None)
    def it_is_looked_up(self) -> None:
        assert self.truth is not None
        self.hears(self.exchange.look_up(self.truth))

    @rule(lost=st.booleans())
    def it_is_answered(self, *, lost: bool) -> None:
        if self.refused:
            self.records(OrderStatus.REJECTED)
        else:
            self.records(OrderStatus.UNKNOWN if lost or self.truth is None else OrderStatus.NEW)

    @rule()
    @precondition(lambda self: self.truth is None)
    def it_is_given_up(self) -> None:
        self.records(OrderStatus.NOT_PLACED)

    @rule(how=st.sampled_from(sorted(CONTRADICTIONS)))
    @precondition(lambda self: self.order.remaining)
    def a_contradiction_is_heard(self, how: str) -> None:
        """It is put aside, and changes neither the order nor its slot."""
        honest = update(self.intent, OrderStatus.PARTIALLY_FILLED, D(1))
        before = self.ledger.book
        outcome = self.step(lambda m: m.apply(CONTRADICTIONS[how](honest), now_ns=self.now_ns))
        assert outcome.value.quarantined
        assert self.ledger.book.orders == before.orders
        assert {p: replace(s, revision=0) for p, s in self.ledger.book.slots.items()} == {
            p: replace(s, revision=0) for p, s in before.slots.items()
        }

    # --- what holds ---------------------------------------------------------------------------

    @invariant()
    def nothing_is_known_that_is_not_true(self) -> None:
        """Fills and ends; that it was refused or never arrived may be a wrong guess of ours."""
        truth, order = self.truth, self.order
        if truth is None:
            assert not order.filled_quantity
            assert not order.status.resting
            return
        assert order.filled_quantity <= truth.filled
        if order.status is OrderStatus.FILLED:
            assert truth.status is OrderStatus.FILLED
        if order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            assert truth.status in (order.status, OrderStatus.FILLED)

    def teardown(self) -> None:
        if self.truth is None:
            return
        for told in self.exchange.history(self.truth):
            self.hears(told)
        order = self.order
        assert (order.status, order.filled_quantity) == (self.truth.status, self.truth.filled)
        assert len(order.execution_ids) == len(self.truth.executions)
        assert self.ledger.book.position == self.truth.filled

    # --- steps --------------------------------------------------------------------------------

    def hears(self, event: OrderUpdate) -> None:
        outcome = self.step(lambda m: m.apply(event, now_ns=self.now_ns))
        assert not outcome.value.quarantined

    def records(self, status: OrderStatus) -> None:
        result = PlacementResult(client_oid=self.intent.client_oid, status=status)
        self.step(lambda m: m.record((result,), now_ns=self.now_ns))

    def step(self, decide: Callable[[Any], Any]) -> Any:
        self.now_ns += 1
        return self.ledger.transact(decide)


@pytest.mark.invariant(3, 4, 41, 42, 43)
class TestAnOrder(AnOrder.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
