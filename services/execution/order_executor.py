"""`OrderExecutor`: from a decision to the wire.

Admit, pay, reserve, send, record, in this order. The intents are committed by the state service
before anything is sent, and whoever committed them sends them, once: a reservation that comes back
as repeated is not sent, whatever became of the first sending.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import structlog

from opensqt.core.actions import Action, ActionBatch, Cancel
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.results import Reservation
from opensqt.core.risk.gate import GateView
from opensqt.ports import Clock, DependencyError, PositionManager
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.tracing import span
from services.execution.admission import admit, opens
from services.execution.config import TimingConfig
from services.execution.markets import Markets
from services.execution.rate_budget import RateBudget
from services.execution.sending import OUT_S, Sending
from services.execution.settlement import SettleTask
from services.execution.telemetry import ExecutionMetrics

BATCHES_AT_ONCE_MAX: Final = 256

HAND_OVER_S: Final = 0.25
"""Answers usually come sooner; then the settle task finds everything settled and is over."""

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done since the start."""

    batches: int = 0


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """When a batch got where."""

    arrived_ns: int
    asked_ns: int
    sent_ns: int


class OrderExecutor:
    """Carries out batches.

    Args:
        positions: Commits intents.
        markets: Knows bots and instruments.
        sending: Talks to the exchange.
        budget: What may be sent now.
        clock: Tells the time.
        timing: How long things may take.
        gate: Returns what is known of the risk gate.
        hand_over: Called with a batch's orders once its requests are under way; whoever takes them
            sees to their results. Must not wait.
        metrics: Where everything is counted.
    """

    def __init__(
        self,
        *,
        positions: PositionManager,
        markets: Markets,
        sending: Sending,
        budget: RateBudget,
        clock: Clock,
        timing: TimingConfig,
        gate: Callable[[], GateView],
        hand_over: Callable[[SettleTask], object],
        metrics: ExecutionMetrics,
    ) -> None:
        self._positions = positions
        self._markets = markets
        self._sending = sending
        self._budget = budget
        self._clock = clock
        self._placing_ns = timing.placing_ms * 10**6
        self._price_age_ns_max = timing.price_age_ms_max * 10**6
        self._gate = gate
        self._hand_over = hand_over
        self._metrics = metrics
        self._tasks: set[asyncio.Task[Any]] = set()
        self._draining = False
        self.tally = Tally()

    async def execute(self, batch: ActionBatch) -> Reservation:
        """Commit a batch's intents and begin to send them.

        Returns:
            The committed intents, once they are; the results show in the state.

        Raises:
            Refusal: Nothing of the batch may be done now, or the state refuses it.
            DependencyError: The state service does not answer; the intents may be committed, and
                will not be sent then.
        """
        if self._draining:
            raise Refusal(RefusalReason.DRAINING, allowed="the same batch, after a restart")
        if len(self._tasks) >= BATCHES_AT_ONCE_MAX:
            raise Refusal(
                RefusalReason.OVERLOADED,
                value=len(self._tasks),
                allowed=f"{BATCHES_AT_ONCE_MAX} batches at once",
            )
        # Once the commit is asked for, it is not left half way because a caller hung up.
        try:
            reservation = await asyncio.shield(self._spawn(self._reserve(batch)))
        except Refusal as refusal:
            self._metrics.batches.labels(refusal.reason).inc()
            raise
        except DependencyError:
            self._metrics.batches.labels(RefusalReason.DEPENDENCY).inc()
            raise
        return reservation

    async def drain(self, timeout_s: float) -> None:
        """Take no more batches, and let those under way end; what is not done then is settled."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                while self._tasks:  # a commit that comes through begins to send
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            late = tuple(self._tasks)
            _log.warning("drained_with_requests_under_way", tasks=len(late))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _reserve(self, batch: ActionBatch) -> Reservation:
        arrived_ns = self._clock.now_ns()
        admitted = await self._admit(batch)
        crash_point(CrashPoint.PLACING_BEFORE_INTENT)
        deadline_ns = self._clock.now_ns() + self._placing_ns
        with span("reserve orders", attributes={"batch": batch.batch_id}):
            started_ns = self._clock.now_ns()
            reservation = await self._positions.reserve(admitted, deadline_ns=deadline_ns)
        if reservation.repeated:
            self._metrics.batches.labels("repeated").inc()
            return reservation
        crash_point(CrashPoint.PLACING_AFTER_INTENT)
        self.tally.batches += 1
        # No await between the commit and the start of the sending: whoever settles finds these
        # orders in flight from the first moment on.
        sent = self._sending.begin(batch.bot_id, reservation)
        times = BatchTimes(arrived_ns, started_ns, self._clock.now_ns())
        self._spawn(self._see_off(batch, reservation, sent, times))
        return reservation

    async def _admit(self, batch: ActionBatch) -> ActionBatch:
        """The part of a batch that may go out now and is paid for.

        Raises:
            Refusal: Nothing of it is.
        """
        if not batch.actions:
            raise Refusal(
                RefusalReason.FIELD_MISSING, field="batch.actions", allowed="at least one action"
            )
        instrument = await self._markets.instrument_of(batch.bot_id)
        admission = admit(
            batch,
            gate=self._gate(),
            instrument=instrument,
            now_ns=self._clock.now_ns(),
            price_age_ns_max=self._price_age_ns_max,
        )
        refused = list(admission.refused)
        paid: list[Action] = []
        for action in admission.batch.actions:
            if await self._pay(action):
                paid.append(action)
            else:
                refused.append(_not_afforded(self._budget.openings_pause_s))
        if not paid:
            raise refused[0]
        for reason, count in Counter(refusal.reason for refusal in refused).items():
            self._metrics.actions_left_out.labels(reason).inc(count)
        return replace(batch, actions=tuple(paid))

    async def _pay(self, action: Action) -> bool:
        if isinstance(action, Cancel):
            return await self._budget.take_cancel()
        if opens(action):
            return await self._budget.take_opening()
        return await self._budget.take_closing()

    async def _see_off(
        self,
        batch: ActionBatch,
        reservation: Reservation,
        sent: asyncio.Task[None],
        times: BatchTimes,
    ) -> None:
        """Hand the orders over once their answers are recorded, or are overdue.

        The times are observed here and not before the sending: even that would hold it up.
        """
        await asyncio.sleep(OUT_S)
        task = SettleTask(
            task_id=batch.batch_id,
            bot_id=batch.bot_id,
            client_oids=tuple(
                order.client_oid for order in (*reservation.to_place, *reservation.to_cancel)
            ),
        )
        try:
            await asyncio.wait((sent,), timeout=HAND_OVER_S)
            self._hand_over(task)
            self._observe(times, batch)
            await sent
        finally:
            sent.cancel()

    def _observe(self, times: BatchTimes, batch: ActionBatch) -> None:
        metrics, sent_ns = self._metrics, times.sent_ns
        metrics.batches.labels("committed").inc()
        metrics.reserve_seconds.observe((sent_ns - times.asked_ns) / 1e9)
        metrics.batch_to_wire_seconds.observe((sent_ns - times.arrived_ns) / 1e9)
        metrics.price_age_seconds.observe(max(0, sent_ns - batch.price_time_ns) / 1e9)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Refusal | DependencyError):
            _log.error("batch_task_failed", exc_info=error)


def _not_afforded(pause_s: float) -> Refusal:
    return Refusal(
        RefusalReason.OVERLOADED,
        field="batch.actions",
        value=f"openings pause for {pause_s:.1f} s" if pause_s else "the rate budget is spent",
        allowed="what the exchange's rate limits leave; cancels and exits have a reserve",
    )
