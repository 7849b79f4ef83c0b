"""Models for the stateful tests: an exchange that is right, and the way to it, which is not.

The exchange knows what is true. What it tells waits in `told` until a test lets it through: late,
twice, in another order, or never.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal as D
from typing import TypeVar

from opensqt.core.events import Forced, OrderUpdate, UpdateSource
from opensqt.core.grid.agenda import Agenda
from opensqt.core.grid.book import BatchRecord, GridBook, GridChange, apply_change
from opensqt.core.grid.invariants import book_problem
from opensqt.core.grid.results import Outcome
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Side
from opensqt.testing.grids import execution, update

T = TypeVar("T")
FEE = D("0.1")


@dataclass
class Known:
    """An order as the exchange knows it."""

    order: Order
    status: OrderStatus = OrderStatus.NEW
    executions: list[Execution] = field(default_factory=list)

    @property
    def filled(self) -> D:
        return sum((e.quantity for e in self.executions), D(0))

    @property
    def proceeds(self) -> D:
        return sum((e.quantity * e.price for e in self.executions), D(0))

    @property
    def average(self) -> str | None:
        return str(self.proceeds / self.filled) if self.filled else None


@dataclass
class ModelExchange:
    """The orders that arrived, and what was told of them and not heard yet."""

    orders: dict[str, Known] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    told: list[OrderUpdate] = field(default_factory=list)
    forced: list[OrderUpdate] = field(default_factory=list)
    """What it closed by force."""
    time_ns: int = 0
    """Of what happened last; every execution has a time of its own."""

    @property
    def position(self) -> D:
        return sum(
            (known.filled * known.order.side.sign for known in self.orders.values()),
            sum((u.filled_quantity * u.side.sign for u in self.forced), D(0)),
        )

    @property
    def executions(self) -> list[Execution]:
        return [e for known in self.orders.values() for e in known.executions]

    def open(self) -> list[Known]:
        return [known for known in self.orders.values() if not known.status.terminal]

    def accept(self, order: Order) -> None:
        assert order.client_oid not in self.orders, "an intent became two orders"
        known = self.orders[order.client_oid] = Known(order)
        self.told.append(update(known.order, OrderStatus.NEW))

    def trade(self, known: Known, quantity: D, price: D) -> None:
        """Fill an order, as far as it goes."""
        quantity = min(quantity, known.order.quantity - known.filled)
        name = f"{known.order.client_oid}-{len(known.executions)}"
        fill = execution(known.order, name, quantity, price=price, fee=str(FEE))
        fill = replace(fill, exchange_time_ns=self._now_ns())
        known.executions.append(fill)
        whole = known.filled == known.order.quantity
        known.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        self.told.append(update(known.order, known.status, known.filled, fill=fill))

    def end(self, known: Known, status: OrderStatus) -> None:
        known.status = status
        self.told.append(update(known.order, status, known.filled))

    def race(self, known: Known) -> None:
        """Tell of a cancel, and of the fills that were faster than it."""
        self.told.append(update(known.order, OrderStatus.CANCELED, known.filled))
        self.trade(known, known.order.quantity, known.order.price)

    def force(self, share: D, price: D) -> OrderUpdate:
        """Close a share of the position, in units of it, whoever wanted to keep it."""
        held = self.position
        name = f"autoclose-{len(self.forced)}"
        side = Side.SELL if held > 0 else Side.BUY
        fill = Execution(
            execution_id=name,
            client_oid=name,
            symbol="BTCUSDT",
            side=side,
            price=price,
            quantity=abs(held) * share,
            fee=D(0),
            fee_asset="USDT",
            maker=False,
            exchange_time_ns=self._now_ns(),
            exchange_order_id=name,
        )
        told = OrderUpdate(
            account="main",
            symbol="BTCUSDT",
            client_oid=name,
            exchange_order_id=name,
            side=side,
            status=OrderStatus.FILLED,
            end_reason=EndReason.NONE,
            price=None,
            quantity=fill.quantity,
            filled_quantity=fill.quantity,
            average_price=price,
            execution=fill,
            source=UpdateSource.STREAM,
            exchange_time_ns=1,
            receive_time_ns=1,
            forced=Forced.LIQUIDATION,
        )
        self.forced.append(told)
        return told

    def everything(self) -> list[OrderUpdate]:
        """All that ever happened, in order of time, and then how every order stands."""
        histories = [self.history(known) for known in self.orders.values()]
        fills = [told for history in histories for told in history[:-1]]
        fills += self.forced
        fills.sort(key=lambda told: told.execution.exchange_time_ns if told.execution else 0)
        return [*fills, *(history[-1] for history in histories)]

    def _now_ns(self) -> int:
        self.time_ns += 1
        return self.time_ns

    def look_up(self, known: Known) -> OrderUpdate:
        """The state of an order, whose executions show in an average only."""
        found = update(known.order, known.status, known.filled, average=known.average)
        return replace(found, source=UpdateSource.QUERY)

    def history(self, known: Known) -> list[OrderUpdate]:
        """All that a comparison tells of an order: its executions one by one, then its state."""
        filled, told = D(0), []
        for fill in known.executions:
            filled += fill.quantity
            partly = update(known.order, OrderStatus.PARTIALLY_FILLED, filled, fill=fill)
            told.append(replace(partly, source=UpdateSource.QUERY))
        return [*told, self.look_up(known)]


@dataclass
class ModelLedger:
    """A store of one grid: what is committed outlives whoever committed it."""

    book: GridBook
    orders: dict[str, Order] = field(default_factory=dict)
    batches: dict[str, BatchRecord] = field(default_factory=dict)
    changes: list[GridChange] = field(default_factory=list)
    first: GridBook = field(init=False)
    agenda: Agenda = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.book
        self.agenda = Agenda.of(self.book)

    def transact(self, decide: Callable[[SlotManager], Outcome[T]]) -> Outcome[T]:
        """Let a manager decide on the book, and commit what it decided."""
        loaded = replace(
            self.book, orders={**self.orders, **self.book.orders}, batches=self.batches
        )
        outcome = decide(SlotManager(loaded))
        if (change := outcome.change) is None:
            return outcome
        assert change.revision == self.book.revision + 1
        self.changes.append(change)
        before, self.book = self.book, outcome.book.trimmed()
        assert apply_change(before, change) == self.book, "a watcher would know something else"
        assert not book_problem(self.book)
        self.agenda = self.agenda.after(self.book, change)
        anew = Agenda.of(self.book)
        assert self.agenda == anew, "what was kept from change to change is not what there is"
        assert self.agenda.waiting() == anew.waiting()
        for order in change.orders:
            _goes_on(self.orders.get(order.client_oid), order)
            self.orders[order.client_oid] = order
        if change.batch is not None:
            self.batches = {**self.batches, change.batch.batch_id: change.batch}
        return outcome

    def rebuilt(self) -> GridBook:
        """The book of somebody who has read all changes from the start."""
        book = self.first
        for change in self.changes:
            book = apply_change(book, change)
        return book


GUESSED = (OrderStatus.NOT_PLACED, OrderStatus.REJECTED)
"""Ends that the exchange may take back."""


def _goes_on(before: Order | None, after: Order) -> None:
    """Numbers 3 and 4: fills only grow, and what ended stays ended."""
    assert 0 <= after.filled_quantity <= after.quantity
    assert after.executed_quantity <= after.filled_quantity
    if before is None:
        return
    assert after.filled_quantity >= before.filled_quantity
    assert after.execution_ids >= before.execution_ids
    if before.status.terminal and before.status not in GUESSED:
        assert after.status.terminal
