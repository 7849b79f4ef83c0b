"""A stage for the referee: the exchange and a ledger, moved by hand, so that a test can cheat."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.core.actions import Action, ActionBatch
from opensqt.core.events import Gate, OrderUpdate, UpdateSource
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import Event, OrderChanged
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.orders import Change, Fill, OrderRequest, OrderType, TimeInForce
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.book import Direction, GridBook, GridChange
from opensqt.core.grid.results import Outcome, PlacementResult
from opensqt.core.grid.slots import SlotManager
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Side
from opensqt.testing import grids
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.virtual_time import START_NS
from simulation.observer import ViolationError, WorldView
from simulation.plan import Fault, Plan
from simulation.referee import Referee
from simulation.trace import Trace

BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D("0.1"),
)


class Stage:
    """A LONG grid of whole units around 100, and an exchange whose market is at 100."""

    def __init__(
        self, *faults: Fault, direction: Direction = Direction.LONG, trading: bool = True
    ) -> None:
        self.exchange = SimulatedExchange([MarketRules(instrument=BTC)])
        self.exchange.open_account("main", deposit=D(100_000))
        self.store = MemoryStore()
        self.plan = Plan(seed=0, direction=direction, faults=faults)
        self.trace = Trace()
        self.now_ns = 10**9
        self.tasks = 0
        self.identity = grids.identity(direction=direction)
        self.book = GridBook(identity=self.identity)
        asyncio.run(self.store.register(self.identity, now_ns=0))
        self.referee = Referee()
        self.referee.began(
            WorldView(
                plan=self.plan,
                trace=self.trace,
                exchange=self.exchange,
                account="main",
                bot_id=self.identity.bot_id,
                stores=[self.store],
                settle_tasks=lambda: self.tasks,
            )
        )
        self.quote(D(100))
        if trading:
            epoch = self.identity.epoch
            self.commit(lambda b: SlotManager(b).confirm(epoch=epoch, now_ns=self.wall_ns))

    @property
    def wall_ns(self) -> int:
        return START_NS + self.now_ns

    # --- the ledger ----------------------------------------------------------------------------

    def commit(self, decide: Callable[[GridBook], Outcome[Any]]) -> Any:
        """Let the ledger decide and commit, under the referee's eyes."""
        outcome = decide(self.book)
        if outcome.change is not None:
            self.commit_as(outcome.book.trimmed(), outcome.change, outcome)
        return outcome.value

    def commit_as(
        self, after: GridBook, change: GridChange, outcome: Outcome[Any] | None = None
    ) -> None:
        """Commit what no ledger would have decided."""
        before, self.book = self.book, after
        stored = outcome or Outcome(book=after, change=change, value=None)
        asyncio.run(self.store.transact(after.identity.bot_id, lambda _: stored))
        self.referee.committed(before, after, change)

    def decide(self, *actions: Action, price_ns: int | None = None) -> ActionBatch:
        batch = grids.batch_on(self.book, *actions)
        batch = replace(batch, price_time_ns=START_NS + (price_ns or self.now_ns))
        self.referee.decided(batch, time_ns=self.now_ns)
        return batch

    def reserve(self, batch: ActionBatch) -> Sequence[Order]:
        now_ns = self.wall_ns
        value = self.commit(
            lambda b: SlotManager(b).reserve(batch, deadline_ns=now_ns + 3 * 10**9, now_ns=now_ns)
        )
        orders: Sequence[Order] = value.to_place
        return orders

    def intent(self, *actions: Action, price_ns: int | None = None) -> Order:
        return self.reserve(self.decide(*actions, price_ns=price_ns))[0]

    def record(self, order: Order, status: OrderStatus) -> None:
        result = PlacementResult(client_oid=order.client_oid, status=status)
        self.commit(lambda b: SlotManager(_asked(b, order)).record((result,), now_ns=self.wall_ns))

    def tell(self, order: Order, fill: Fill | None = None) -> None:
        """Let the ledger hear of an order as the exchange has it."""
        theirs = self.theirs(order)
        self.apply(order, self.update(theirs, fill))

    def apply(self, order: Order, update: OrderUpdate) -> None:
        known = self.referee.facts.ledger
        assert known is not None
        latest = known.orders.get(order.client_oid, order)
        self.commit(lambda b: SlotManager(_asked(b, latest)).apply(update, now_ns=self.wall_ns))

    # --- the exchange --------------------------------------------------------------------------

    def send(self, order: Order) -> ExchangeOrder:
        """Send an order; it is accepted."""
        self.referee.sent(order, time_ns=self.now_ns)
        return self.accept(order.client_oid, order.side, order.price, order.quantity, order)

    def accept(
        self, oid: str, side: Side, price: D, quantity: D, order: Order | None = None
    ) -> ExchangeOrder:
        request = OrderRequest(
            symbol=BTC.symbol,
            client_order_id=oid,
            side=side,
            type=OrderType.LIMIT,
            quantity=quantity,
            price=price,
            time_in_force=TimeInForce.GTX if order and order.post_only else TimeInForce.GTC,
            reduce_only=order is not None and order.reduce_only,
        )
        events = self.exchange.place("main", request, now_ns=self.wall_ns)
        first = events[0]
        assert isinstance(first, OrderChanged), first
        self._watch(events)
        return first.order

    def trade(self, price: str, quantity: str = "1") -> list[Fill]:
        trade = MarketTrade(
            price=D(price), quantity=D(quantity), buyer_is_maker=True, time_ns=self.wall_ns
        )
        return self._watch(self.exchange.on_trade(BTC.symbol, trade, now_ns=self.wall_ns))

    def cancel(self, order: Order) -> None:
        events = self.exchange.cancel(
            "main", BTC.symbol, client_order_id=order.client_oid, now_ns=self.wall_ns
        )
        self._watch(events)

    def quote(self, price: D) -> None:
        quote = Quote(
            bid=price, bid_quantity=D(1), ask=price + 1, ask_quantity=D(1), time_ns=self.wall_ns
        )
        self.exchange.on_quote(BTC.symbol, quote)

    def theirs(self, order: Order) -> ExchangeOrder:
        found = self.exchange.accounts["main"].find(BTC.symbol, client_order_id=order.client_oid)
        assert found is not None
        return found

    def update(self, theirs: ExchangeOrder, fill: Fill | None = None) -> OrderUpdate:
        return OrderUpdate(
            account="main",
            symbol=BTC.symbol,
            client_oid=theirs.client_order_id,
            exchange_order_id=str(theirs.order_id),
            side=theirs.side,
            status=theirs.status,
            end_reason=EndReason.NONE,
            price=theirs.price,
            quantity=theirs.quantity,
            filled_quantity=theirs.executed,
            average_price=theirs.average_price or None,
            execution=None if fill is None else execution(fill, theirs.client_order_id),
            source=UpdateSource.STREAM,
            exchange_time_ns=self.wall_ns,
            receive_time_ns=self.wall_ns,
        )

    def gate(self, *, open_: bool) -> None:
        gate = Gate(
            revision=1, open=open_, reason="test", changed_by="test", changed_time_ns=self.wall_ns
        )
        self.referee.gate_changed(gate, time_ns=self.now_ns)

    def _watch(self, events: Sequence[Event]) -> list[Fill]:
        fills = []
        for event in events:
            match event:
                case OrderChanged(change=Change.NEW):
                    self.referee.accepted(event.order, time_ns=self.now_ns)
                case OrderChanged(fill=fill) if fill is not None:
                    fills.append(fill)
                    self.referee.filled(event.order, fill, time_ns=self.now_ns)
                case OrderChanged():
                    self.referee.ended(event.order, time_ns=self.now_ns)
                case _:
                    pass
        return fills

    # --- whole lives ---------------------------------------------------------------------------

    def opened(self, price: str = "99") -> Order:
        """An opening order that was filled, and all know it."""
        order = self.intent(grids.opening(price))
        self.send(order)
        self.record(order, OrderStatus.NEW)
        [fill] = self.trade(str(D(price) - D("0.5")), "10")
        self.tell(order, fill)
        return order

    def rested(self) -> Order:
        """An opening order that rests, and all know it."""
        order = self.intent(grids.opening("99"))
        self.send(order)
        self.tell(order)
        return order


def execution(fill: Fill, oid: str) -> Execution:
    return Execution(
        execution_id=str(fill.trade_id),
        client_oid=oid,
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_asset="USDT",
        maker=fill.maker,
        exchange_time_ns=fill.time_ns,
        exchange_order_id=str(fill.order_id),
    )


def violates(number: int, about: str | None = None) -> pytest.RaisesExc[ViolationError]:
    """Expects a violation of one invariant, about one order."""

    def the_one(violation: ViolationError) -> bool:
        return violation.number == number and about in (None, violation.about)

    return pytest.raises(ViolationError, check=the_one)


def _asked(book: GridBook, order: Order) -> GridBook:
    return replace(book, orders={order.client_oid: order, **book.orders})
