"""Sending: every reserved order and cancel goes out at once, every answer is recorded as it comes.

What is not a definite answer is recorded as unknown. Nothing here is ever repeated, except the
recording, which is harmless.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from opentelemetry.trace import SpanKind

from opensqt.core.errors import Refusal
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.results import PlacementResult, Reservation
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import (
    AccountFeed,
    CancelAnswer,
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

RECORD_PAUSES_S: Final = (0.1, 0.3, 1.0)
"""Between attempts to record; after the last one the settle task asks the exchange instead."""

OUT_S: Final = 0.001
"""Whatever follows the sending waits so long: a request is written in several turns of the loop,
and all that gets its turn between them holds it up."""

HEAD_START_S: Final = 0.005
"""What the market runs away from goes first; a cancel waits for the answers, or this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """What is left to the placing of orders before anything else of its decision is done."""

    out_s: float = OUT_S
    head_start_s: float = HEAD_START_S


_log = structlog.get_logger(__name__)


class Sending:
    """Talks to the exchange for the executor.

    Args:
        gateway: Places and cancels.
        lookup: Is asked about an order that a cancel did not find.
        positions: Records the answers.
        clock: Tells the time.
        budget: Hears of every answer.
        in_flight: Keeps what is under way.
        answer_s: How long an answer is awaited.
        metrics: Where answers are counted.
        pauses: What is left to the placing.
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
        answer_s: float,
        metrics: ExecutionMetrics,
        pauses: Pauses,
    ) -> None:
        self._gateway = gateway
        self._lookup = lookup
        self._positions = positions
        self._clock = clock
        self._budget = budget
        self._in_flight = in_flight
        self._answer_s = answer_s
        self._metrics = metrics
        self._pauses = pauses
        self.orders_sent = 0

    def begin(self, bot_id: str, reservation: Reservation) -> asyncio.Task[None]:
        """Send everything that was reserved; the task ends when all answers are recorded.

        The orders are in flight from this call on, not only once the task has run.
        """
        oids = [order.client_oid for order in (*reservation.to_place, *reservation.to_cancel)]
        flight = self._in_flight.sending(oids)
        flight.__enter__()
        # These are the first to get their turn, before whatever is begun from here on.
        placing = [asyncio.create_task(self._place(order)) for order in reservation.to_place]
        task = asyncio.create_task(self._see_to(bot_id, placing, reservation.to_cancel))
        task.add_done_callback(lambda _: flight.__exit__(None, None, None))
        return task

    async def _see_to(
        self,
        bot_id: str,
        placing: list[asyncio.Task[PlacementResult]],
        to_cancel: tuple[Order, ...],
    ) -> None:
        await asyncio.sleep(self._pauses.out_s)
        canceling = [asyncio.create_task(self._cancel_after(placing, order)) for order in to_cancel]
        try:
            await self._record_as_they_come(bot_id, placing)
            await asyncio.gather(*canceling)
        finally:
            for task in (*placing, *canceling):
                task.cancel()

    async def _record_as_they_come(
        self, bot_id: str, placing: list[asyncio.Task[PlacementResult]]
    ) -> None:
        """Record each answer at once; those that come during a recording go together."""
        waiting = set(placing)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            results = tuple(task.result() for task in placing if task in done)
            await self._record(bot_id, results)

    async def _place(self, order: Order) -> PlacementResult:
        if self._clock.now_ns() >= order.deadline_ns:
            # Nobody else sends it either, so this is proof.
            return _result(order, OrderStatus.NOT_PLACED, "committed too late to be sent")
        started_ns = self._clock.now_ns()
        self.orders_sent += 1
        with span("place order", kind=SpanKind.CLIENT):
            try:
                async with asyncio.timeout(self._answer_s):
                    result = await self._gateway.place(order)
            except TimeoutError:
                result = _result(order, OrderStatus.UNKNOWN, f"no answer in {self._answer_s} s")
            except Exception as error:
                _log.exception("placing_failed", order=order.client_oid)
                result = _result(order, OrderStatus.UNKNOWN, repr(error))
        self._metrics.place_seconds.observe((self._clock.now_ns() - started_ns) / 1e9)
        self._metrics.placements.labels(result.status, result.end_reason).inc()
        self._budget.answered(order.purpose, result)
        if result.end_reason is EndReason.DUPLICATE_ID:
            # An order of this id is open there: ours, as the look-up will show, or a contradiction.
            return _result(order, OrderStatus.UNKNOWN, result.end_text)
        return result

    async def _cancel_after(
        self, placing: list[asyncio.Task[PlacementResult]], order: Order
    ) -> None:
        """Cancel once the placements are on their way: preparing it would hold them up."""
        if placing:
            await asyncio.wait(placing, timeout=self._pauses.head_start_s)
        await self._cancel(order)

    async def _cancel(self, order: Order) -> None:
        """Cancel, and record what that proves; otherwise the order is left to settle."""
        crash_point(CrashPoint.CANCELING_BEFORE_SEND)
        with span("cancel order", kind=SpanKind.CLIENT):
            try:
                async with asyncio.timeout(self._answer_s):
                    answer = await self._gateway.cancel(order)
                    self._metrics.cancels.labels(answer.outcome.value).inc()
                    update = await self._outcome_of(order, answer)
                crash_point(CrashPoint.CANCELING_BEFORE_RESULT)
                if update is not None:
                    applied = await self._positions.apply(update)
                    if applied.quarantined:
                        self._metrics.contradictions.inc()
                        _log.error(
                            "order_contradicted", order=order.client_oid, why=applied.quarantined
                        )
            except TimeoutError:
                self._metrics.cancels.labels(CancelOutcome.UNKNOWN.value).inc()
            except (DependencyError, Refusal) as problem:
                _log.warning("cancel_not_proven", order=order.client_oid, problem=str(problem))
            except Exception:
                _log.exception("cancel_failed", order=order.client_oid)

    async def _outcome_of(self, order: Order, answer: CancelAnswer) -> OrderUpdate | None:
        """What is proven of a cancelled order; None when nothing is."""
        if answer.update is not None:
            return answer.update
        if answer.outcome in (CancelOutcome.CANCELED, CancelOutcome.GONE):
            # Gone, as often as not, means filled.
            return await self._lookup.find_order(order.symbol, order.client_oid)
        _log.warning("cancel_not_proven", order=order.client_oid, problem=answer.text)
        return None

    async def _record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> None:
        crash_point(CrashPoint.PLACING_BEFORE_RESULT)
        for pause_s in (*RECORD_PAUSES_S, None):
            try:
                with span("record results", attributes={"results": len(results)}):
                    await self._positions.record(bot_id, results)
            except DependencyError as error:
                problem: Exception = error
            except Refusal as refusal:
                problem, pause_s = refusal, None  # noqa: PLW2901 - repeating would not help
            else:
                crash_point(CrashPoint.PLACING_AFTER_RESULT)
                return
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                continue
            self._metrics.unrecorded.inc(len(results))
            _log.error("results_not_recorded", bot=bot_id, problem=str(problem))
            return


def _result(order: Order, status: OrderStatus, text: str) -> PlacementResult:
    reason = EndReason.NEVER_ARRIVED if status is OrderStatus.NOT_PLACED else EndReason.NONE
    return PlacementResult(
        client_oid=order.client_oid, status=status, end_reason=reason, end_text=text
    )
