"""`Settling`: sees orders whose standing is not proven to a proven one, for one bot in memory.

What to do about each is the table of `core/settle`; here it is asked and recorded. Nothing is ever
placed here, least of all a second time.
"""

import asyncio
from typing import Final

import structlog

from opensqt.core.grid.brain import Brain
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.core.settle import Step, next_question_ns, steps_after
from opensqt.engine.sending import apply
from opensqt.engine.timing import SimpleTiming
from opensqt.ports import CancelOutcome, Clock, DependencyError, OrderSide

_log = structlog.get_logger(__name__)

_NEVER_CAME: Final = "the exchange does not have it, long after its deadline"


class Settling:
    """Asks about what is in doubt.

    Args:
        brain: Whose orders.
        exchange: Is asked.
        clock: Tells the time.
        timing: How long an answer is awaited, and from when on absence is proof.
        in_flight: Orders whose answer is about to come: these are not asked about.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        exchange: OrderSide,
        clock: Clock,
        timing: SimpleTiming,
        in_flight: set[str],
    ) -> None:
        self._brain = brain
        self._exchange = exchange
        self._clock = clock
        self._fence = timing.fence
        self._answer_s = timing.answer_s
        self._in_flight = in_flight
        self._due_ns: dict[str, int] = {}

    async def settle(self) -> None:
        """Ask once about every order that is in doubt and due."""
        unsettled = [order for order in self._brain.book.live_orders() if not order.settled]
        self._due_ns = {
            order.client_oid: self._due_ns.get(order.client_oid, 0) for order in unsettled
        }
        for order in unsettled:
            oid = order.client_oid
            if oid in self._in_flight or self._due_ns[oid] > self._clock.now_ns():
                continue
            self._in_flight.add(oid)
            try:
                again_ns = await self._ask(order)
            except (DependencyError, TimeoutError) as problem:
                _log.warning("order_not_settled_yet", order=oid, problem=repr(problem))
                again_ns = self._later(order)
            finally:
                self._in_flight.discard(oid)
            self._due_ns[oid] = again_ns

    async def _ask(self, order: Order) -> int:
        """Ask about an order; when to ask again, if it is then still in doubt."""
        asked_ns = self._clock.now_ns()
        async with asyncio.timeout(self._answer_s):
            found = await self._exchange.find_order(order.symbol, order.client_oid)
        for step in steps_after(order, found, asked_ns=asked_ns, fence=self._fence):
            match step:
                case Step.ASK_AGAIN:
                    pass
                case Step.ADOPT:
                    assert found is not None
                    apply(self._brain, found, now_ns=self._clock.now_ns())
                case Step.NOT_PLACED:
                    self._brain.record((_not_placed(order),), now_ns=self._clock.now_ns())
                    _log.info("order_not_placed", order=order.client_oid)
                case Step.CANCEL:
                    async with asyncio.timeout(self._answer_s):
                        answer = await self._exchange.cancel(order)
                    if answer.outcome is CancelOutcome.CANCELED and answer.update is not None:
                        apply(self._brain, answer.update, now_ns=self._clock.now_ns())
                case Step.ALERT:
                    _log.error(
                        "order_contradicted",
                        order=order.client_oid,
                        why="it was open, and the exchange has no such order",
                    )
        return next_question_ns(order, asked_ns=asked_ns, fence=self._fence)

    def _later(self, order: Order) -> int:
        return next_question_ns(order, asked_ns=self._clock.now_ns(), fence=self._fence)


def _not_placed(order: Order) -> PlacementResult:
    return PlacementResult(
        client_oid=order.client_oid,
        status=OrderStatus.NOT_PLACED,
        end_reason=EndReason.NEVER_ARRIVED,
        end_text=_NEVER_CAME,
    )
