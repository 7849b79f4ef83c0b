"""`Sending`: brings one bot's orders and cancels to the exchange, and their answers to its brain.

Each is sent once. What is not a definite answer is recorded as unknown, for `Settling`.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import structlog

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.brain import Brain
from opensqt.core.grid.results import PlacementResult, Reservation
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import CancelAnswer, CancelOutcome, Clock, DependencyError, OrderSide

_log = structlog.get_logger(__name__)


class Sending:
    """Sends what a brain has decided.

    Args:
        brain: Whose orders.
        exchange: Where to.
        clock: Tells the time.
        answer_s: How long an answer is awaited.
    """

    def __init__(self, brain: Brain, *, exchange: OrderSide, clock: Clock, answer_s: float) -> None:
        self._brain = brain
        self._exchange = exchange
        self._clock = clock
        self._answer_s = answer_s
        self.in_flight: set[str] = set()
        """Client order ids whose answer is about to come."""

    async def send(self, reservations: Iterable[Reservation]) -> None:
        """Send everything at once; returns when every answer is recorded, or none came in time."""
        sent = [
            (order, send)
            for decided in reservations
            for orders, send in (
                (decided.to_place, self._place),
                (decided.to_cancel, self._cancel),
            )
            for order in orders
        ]
        oids = {order.client_oid for order, _ in sent}
        self.in_flight |= oids
        try:
            await asyncio.gather(*(send(order) for order, send in sent))
        finally:
            self.in_flight -= oids

    async def _place(self, order: Order) -> None:
        try:
            async with asyncio.timeout(self._answer_s):
                result = await self._exchange.place(order)
        except TimeoutError:
            result = PlacementResult(
                client_oid=order.client_oid,
                status=OrderStatus.UNKNOWN,
                end_text=f"no answer in {self._answer_s} s",
            )
        except Exception as error:
            _log.exception("placing_failed", order=order.client_oid)
            result = PlacementResult(
                client_oid=order.client_oid, status=OrderStatus.UNKNOWN, end_text=repr(error)
            )
        if result.end_reason is EndReason.DUPLICATE_ID:
            # An order of this id is open there: ours, as the look-up will show, or a contradiction.
            result = replace(result, status=OrderStatus.UNKNOWN, end_reason=EndReason.NONE)
        self._brain.record((result,), now_ns=self._clock.now_ns())

    async def _cancel(self, order: Order) -> None:
        """Cancel, and apply what that proves; otherwise the order is left to settle."""
        try:
            async with asyncio.timeout(self._answer_s):
                update = await self._outcome_of(order, await self._exchange.cancel(order))
        except (DependencyError, TimeoutError) as problem:
            _log.warning("cancel_not_proven", order=order.client_oid, problem=repr(problem))
            return
        if update is not None:
            apply(self._brain, update, now_ns=self._clock.now_ns())

    async def _outcome_of(self, order: Order, answer: CancelAnswer) -> OrderUpdate | None:
        if answer.update is not None:
            return answer.update
        if answer.outcome in (CancelOutcome.CANCELED, CancelOutcome.GONE):
            # Gone, as often as not, means filled.
            return await self._exchange.find_order(order.symbol, order.client_oid)
        return None


def apply(brain: Brain, update: OrderUpdate, *, now_ns: int) -> None:
    """Apply what is known of an order, and report what contradicts the book."""
    applied = brain.apply(update, now_ns=now_ns)
    if applied.quarantined:
        _log.error("order_contradicted", order=update.client_oid, why=applied.quarantined)
