"""`ScriptedVenue`: an exchange that keeps orders, never fills by itself, and fails as it is told.

For tests of whatever places, cancels and asks. It breaks the promises that real exchanges break:
answers are lost, orders are out of sight for a while, requests come late or never.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from enum import Enum

from opensqt.core.events import Candle, OrderUpdate, Position, UpdateSource
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import ZERO
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus
from opensqt.ports import (
    AccountEvent,
    CancelAnswer,
    CancelOutcome,
    Clock,
    DependencyError,
    MarketEvent,
)


class Fate(Enum):
    """What becomes of a request to place an order."""

    ACCEPTED = "accepted"
    ANSWER_LOST = "accepted, and the answer is lost"
    NEVER_ANSWERED = "accepted, and no answer ever comes"
    LOST = "lost on its way, and the answer is unknown"
    REJECTED = "rejected"
    RATE_LIMITED = "rejected for too many requests"
    FILLED_UNHEARD = "filled, and the answer is lost"
    LATE = "arrives later than the answer is awaited, if that is before its deadline"


@dataclass(slots=True, kw_only=True)
class Book:
    """What the exchange has; it outlives those who talk to it."""

    orders: dict[str, OrderUpdate] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)
    """Client order ids of the orders that were accepted, once for each acceptance."""


class ScriptedVenue:
    """Implements `ports.Exchange`, as far as execution needs it.

    Args:
        instruments: What trades.
        clock: Tells the time.
        book: What it has already.
        account: Named in updates.
    """

    def __init__(
        self,
        *instruments: Instrument,
        clock: Clock,
        book: Book | None = None,
        account: str = "main",
    ) -> None:
        self._instruments = instruments
        self._clock = clock
        self._account = account
        self.book = book or Book()
        self.fates: deque[Fate] = deque()
        """What becomes of the next requests to place; ACCEPTED when there is none."""
        self.cancel_answers: deque[CancelOutcome] = deque()
        """What is answered to the next cancels without carrying them out."""
        self.answers = True
        """Set to False, look-ups fail."""
        self.out_of_sight_s = 0.0
        """How long an accepted order is missing from look-ups."""
        self.latency_s = 0.001
        self.held_until_ns = 0
        """Until when it has told everybody to be silent."""
        self.late_by_s = 1.0
        self.questions: list[str] = []
        self.cancels: list[str] = []
        self._accepted_ns: dict[str, int] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def place(self, order: Order) -> PlacementResult:
        """Accept the order, or do what the script says."""
        fate = self.fates.popleft() if self.fates else Fate.ACCEPTED
        await asyncio.sleep(self.latency_s)
        match fate:
            case Fate.REJECTED:
                return _answer(order, OrderStatus.REJECTED, EndReason.INSUFFICIENT_MARGIN)
            case Fate.RATE_LIMITED:
                return _answer(order, OrderStatus.REJECTED, EndReason.RATE_LIMIT)
            case Fate.LOST:
                return _answer(order, OrderStatus.UNKNOWN)
            case Fate.LATE:
                late = asyncio.create_task(self._arrive_late(order))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                return _answer(order, OrderStatus.UNKNOWN)
        if (known := self.book.orders.get(order.client_oid)) and known.status.resting:
            return _answer(order, OrderStatus.REJECTED, EndReason.DUPLICATE_ID)
        self._accept(order)
        match fate:
            case Fate.FILLED_UNHEARD:
                self.fill(order.client_oid)
                return _answer(order, OrderStatus.UNKNOWN)
            case Fate.ANSWER_LOST:
                return _answer(order, OrderStatus.UNKNOWN)
            case Fate.NEVER_ANSWERED:
                await asyncio.sleep(10**6)
        update = self.book.orders[order.client_oid]
        return replace(_answer(order, OrderStatus.NEW), exchange_order_id=update.exchange_order_id)

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel the order, or do what the script says."""
        self.cancels.append(order.client_oid)
        await asyncio.sleep(self.latency_s)
        if self.cancel_answers:
            return CancelAnswer(outcome=self.cancel_answers.popleft(), text="as the script says")
        known = self.book.orders.get(order.client_oid)
        if known is None or not known.status.resting:
            return CancelAnswer(outcome=CancelOutcome.GONE)
        ended = replace(known, status=OrderStatus.CANCELED, end_reason=EndReason.CANCEL_REQUESTED)
        self.book.orders[order.client_oid] = ended
        return CancelAnswer(outcome=CancelOutcome.CANCELED, update=ended)

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands."""
        self.questions.append(client_oid)
        await asyncio.sleep(self.latency_s)
        if not self.answers:
            raise DependencyError("told not to answer")
        seen_ns = self._accepted_ns.get(client_oid, 0) + int(self.out_of_sight_s * 1e9)
        found = self.book.orders.get(client_oid)
        if found is None or found.symbol != symbol or self._clock.now_ns() < seen_ns:
            return None
        return replace(found, source=UpdateSource.QUERY)

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """Where an order stands, by the exchange's own id."""
        for client_oid, update in self.book.orders.items():
            if update.exchange_order_id == exchange_order_id:
                return await self.find_order(symbol, client_oid)
        return None

    def fill(self, client_oid: str) -> OrderUpdate:
        """Fill an open order whole."""
        known = self.book.orders[client_oid]
        assert known.quantity is not None
        filled = replace(
            known,
            status=OrderStatus.FILLED,
            filled_quantity=known.quantity,
            average_price=known.price,
        )
        self.book.orders[client_oid] = filled
        return filled

    async def instruments(self) -> tuple[Instrument, ...]:
        """What trades."""
        return self._instruments

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order."""
        orders = self.book.orders.values()
        return tuple(o for o in orders if o.symbol == symbol and o.status.resting)

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        """Every order that was accepted from then on."""
        return tuple(
            update
            for client_oid, update in self.book.orders.items()
            if update.symbol == symbol and self._accepted_ns.get(client_oid, 0) >= since_ns
        )

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Not offered: fills show in the orders."""
        raise NotImplementedError(symbol, since_ns)

    async def position(self, symbol: str) -> Position:
        """What the fills add up to."""
        filled = (o for o in self.book.orders.values() if o.symbol == symbol)
        return Position(
            symbol=symbol,
            quantity=sum((o.filled_quantity * o.side.sign for o in filled), ZERO),
            entry_price=None,
            mark_price=None,
            unrealised_pnl=None,
            liquidation_price=None,
        )

    async def candles(self, symbol: str, *, limit: int) -> tuple[Candle, ...]:
        """Not offered."""
        raise NotImplementedError(symbol, limit)

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Not offered."""
        raise NotImplementedError(symbol)

    def account_events(self) -> AsyncIterator[AccountEvent]:
        """Not offered."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""

    async def _arrive_late(self, order: Order) -> None:
        await asyncio.sleep(self.late_by_s)
        if self._clock.now_ns() < order.deadline_ns:
            self._accept(order)

    def _accept(self, order: Order) -> None:
        now_ns = self._clock.now_ns()
        self.book.received.append(order.client_oid)
        self._accepted_ns[order.client_oid] = now_ns
        self.book.orders[order.client_oid] = OrderUpdate(
            account=self._account,
            symbol=order.symbol,
            client_oid=order.client_oid,
            exchange_order_id=str(len(self.book.received)),
            side=order.side,
            status=OrderStatus.NEW,
            end_reason=EndReason.NONE,
            price=order.price,
            quantity=order.quantity,
            filled_quantity=ZERO,
            average_price=None,
            execution=None,
            source=UpdateSource.ANSWER,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
        )


def _answer(
    order: Order, status: OrderStatus, reason: EndReason = EndReason.NONE
) -> PlacementResult:
    return PlacementResult(client_oid=order.client_oid, status=status, end_reason=reason)
