"""One round of settling: ask the exchange about orders in doubt, and record what that proves.

What to do about an answer is the table's business (`opensqt.core.settle`). Everything here may be
done twice, by two tasks or two processes, without harm; nothing here ever places an order.
"""

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.core.settle import PAUSE_FIRST_NS, Fence, Step, next_question_ns, steps_after
from opensqt.ports import (
    AccountFeed,
    CancelOutcome,
    Clock,
    DependencyError,
    OrderGateway,
    PositionManager,
)
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.tracing import span
from services.execution.in_flight import InFlight
from services.execution.rate_budget import RateBudget
from services.execution.telemetry import ExecutionMetrics

RETRY_S: Final = 1.0
"""When the state service does not answer."""
ROUND_PAUSE_MIN_S: Final = 0.05
PAGE_SIZE: Final = 500

_log = structlog.get_logger(__name__)


async def unsettled_orders(positions: PositionManager, bot_id: str) -> tuple[Order, ...]:
    """Every order of a bot whose result is not proven.

    Raises:
        Refusal: BOT_UNKNOWN.
        DependencyError: The state service does not answer.
    """
    orders: list[Order] = []
    token = ""
    while True:
        page = await positions.orders(
            bot_id, unsettled_only=True, page_size=PAGE_SIZE, page_token=token
        )
        orders += page.items
        token = page.next_token
        if not token:
            return tuple(orders)


class Settler:
    """Asks and records.

    Args:
        gateway: Cancels again what should not be there.
        lookup: Is asked about orders.
        positions: Records.
        clock: Tells the time.
        budget: Pays for the questions.
        in_flight: Orders whose answer is about to come.
        fence: From when on absence is proof.
        answer_s: How long an answer is awaited.
        metrics: Where the outcomes are counted.
    """

    def __init__(
        self,
        *,
        gateway: OrderGateway,
        lookup: AccountFeed,
        positions: PositionManager,
        clock: Clock,
        budget: RateBudget,
        in_flight: InFlight,
        fence: Fence,
        answer_s: float,
        metrics: ExecutionMetrics,
    ) -> None:
        self._gateway = gateway
        self._lookup = lookup
        self._positions = positions
        self._clock = clock
        self._budget = budget
        self._in_flight = in_flight
        self._fence = fence
        self._answer_s = answer_s
        self._metrics = metrics
        self._asking: set[str] = set()
        self._due_ns: dict[str, int] = {}

    async def settle(self, bot_id: str, client_oids: Collection[str]) -> float | None:
        """Ask once about each of the orders that is in doubt and due.

        Returns:
            Seconds until the next round is worth it; None when none of them is in doubt any more.
        """
        wanted = frozenset(client_oids)
        try:
            unsettled = await unsettled_orders(self._positions, bot_id)
        except DependencyError as error:
            _log.warning("unsettled_orders_not_listed", bot=bot_id, problem=str(error))
            return RETRY_S
        except Refusal as refusal:
            if refusal.reason is not RefusalReason.BOT_UNKNOWN:
                raise
            _log.error("bot_vanished", bot=bot_id)
            return None
        orders = [order for order in unsettled if order.client_oid in wanted]
        for settled in wanted.difference(order.client_oid for order in orders):
            self._due_ns.pop(settled, None)
        with span("settle orders", attributes={"orders": len(orders)}):
            times_ns = await asyncio.gather(*(self._see_to(order) for order in orders))
        left_ns = [time_ns for time_ns in times_ns if time_ns is not None]
        if not left_ns:
            return None
        return max((min(left_ns) - self._clock.now_ns()) / 1e9, ROUND_PAUSE_MIN_S)

    async def _see_to(self, order: Order) -> int | None:
        """Ask about one order, if it is time; when to ask again, None when that is not needed."""
        oid = order.client_oid
        now_ns = self._clock.now_ns()
        if oid in self._in_flight or oid in self._asking:
            return now_ns + PAUSE_FIRST_NS
        if (due_ns := self._due_ns.get(oid, 0)) > now_ns:
            return due_ns
        self._asking.add(oid)
        try:
            again_ns = await self._ask(order)
        except (DependencyError, TimeoutError, Refusal) as problem:
            _log.warning("order_not_settled_yet", order=oid, problem=repr(problem))
            again_ns = self._later(order)
        finally:
            self._asking.discard(oid)
        if again_ns is None:
            self._due_ns.pop(oid, None)
        else:
            self._due_ns[oid] = again_ns
        return again_ns

    async def _ask(self, order: Order) -> int | None:
        await self._budget.question()
        asked_ns = self._clock.now_ns()
        async with asyncio.timeout(self._answer_s):
            found = await self._lookup.find_order(order.symbol, order.client_oid)
        again_ns: int | None = None
        for step in steps_after(order, found, asked_ns=asked_ns, fence=self._fence):
            match step:
                case Step.ASK_AGAIN:
                    again_ns = next_question_ns(order, asked_ns=asked_ns, fence=self._fence)
                case Step.ADOPT:
                    assert found is not None
                    if not await self._adopt(order, found):
                        return self._later(order)
                case Step.NOT_PLACED:
                    await self._give_up(order)
                case Step.CANCEL:
                    again_ns = await self._cancel(order)
                case Step.ALERT:
                    self._contradicted(order, "it was open, and the exchange has no such order")
                    again_ns = self._later(order)
            self._metrics.settled.labels(step).inc()
        return again_ns

    async def _adopt(self, order: Order, found: OrderUpdate) -> bool:
        crash_point(CrashPoint.SETTLING_BEFORE_RESULT)
        applied = await self._positions.apply(found)
        if applied.quarantined:
            self._contradicted(order, applied.quarantined)
            return False
        _log.info("order_adopted", order=order.client_oid, status=found.status)
        return True

    async def _give_up(self, order: Order) -> None:
        result = PlacementResult(
            client_oid=order.client_oid,
            status=OrderStatus.NOT_PLACED,
            end_reason=EndReason.NEVER_ARRIVED,
            end_text="the exchange does not have it, long after its deadline",
        )
        crash_point(CrashPoint.SETTLING_BEFORE_RESULT)
        await self._positions.record(order.bot_id, (result,))
        _log.info("order_not_placed", order=order.client_oid)

    async def _cancel(self, order: Order) -> int | None:
        await self._budget.question()
        async with asyncio.timeout(self._answer_s):
            answer = await self._gateway.cancel(order)
        self._metrics.cancels.labels(answer.outcome.value).inc()
        if answer.outcome is CancelOutcome.CANCELED and answer.update is not None:
            await self._positions.apply(answer.update)
            return None
        return self._later(order)

    def _later(self, order: Order) -> int:
        return next_question_ns(order, asked_ns=self._clock.now_ns(), fence=self._fence)

    def _contradicted(self, order: Order, why: str) -> None:
        self._metrics.contradictions.inc()
        _log.error("order_contradicted", order=order.client_oid, why=why)
