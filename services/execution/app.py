"""The execution service's composition root: one account's orders, from decision to proven result.

At the start, what an earlier process left in doubt is handed to the settlement before the first
batch is taken. At the end no batch is taken any more, the requests under way get their answers
recorded, and what is still in doubt waits for the next start.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from opensqt.adapters.inbox import QueueInbox
from opensqt.core.actions import ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.results import Reservation
from opensqt.core.risk.gate import GateView
from opensqt.core.settle import Fence
from opensqt.ports import (
    ACTIONS,
    GATE,
    AccountFeed,
    Clock,
    DependencyError,
    EventBus,
    MarketFeed,
    OrderGateway,
    PositionManager,
    Received,
)
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import extract, span
from services.execution.config import RateLimitConfig, TimingConfig
from services.execution.in_flight import InFlight
from services.execution.markets import Markets
from services.execution.order_executor import OrderExecutor
from services.execution.rate_budget import RateBudget
from services.execution.reaper import Reaper
from services.execution.sending import Pauses, Sending
from services.execution.settlement import Round, Settlement, SettleTask
from services.execution.settler import Settler, unsettled_orders
from services.execution.telemetry import ExecutionMetrics
from services.execution.told_limits import Used

RETRY_S: Final = 0.5
"""Pause between two attempts to reach the state service, the exchange or the bus."""

HANDED_OVER_MAX: Final = 10_000
"""Batches that wait for their settle task; those beyond are left to the reaper."""

_log = structlog.get_logger(__name__)


class Venue(MarketFeed, AccountFeed, OrderGateway, Protocol):
    """What the service needs of an exchange."""

    @property
    def held_until_ns(self) -> int:
        """Until when the exchange has told us to be silent."""
        ...


SettlementFactory = Callable[[Round], Settlement]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStatus:
    """How the execution of the account stands."""

    in_flight: int
    unsettled: int
    tasks_pending: int
    batches: int
    orders_sent: int
    gate_open: bool


class ExecutionApp:
    """Carries out the batches of one account.

    Args:
        account: The account; no other process may trade on it.
        venue: The exchange.
        positions: The state service.
        bus: Carries batches and the gate's beats.
        clock: Tells the time.
        settlement: Makes what sees to orders in doubt, around one round of asking.
        metrics: Where everything is counted.
        limits: The exchange's rate limits.
        timing: How long things may take.
        drain_timeout_s: How long requests under way may take at the end.
        limits_used: What the exchange said last is used of its limits, by their names.
        pauses: What is left to the placing of orders before anything else of a decision is done.
    """

    def __init__(
        self,
        *,
        account: str,
        venue: Venue,
        positions: PositionManager,
        bus: EventBus,
        clock: Clock,
        settlement: SettlementFactory,
        metrics: Metrics,
        limits: RateLimitConfig | None = None,
        timing: TimingConfig | None = None,
        drain_timeout_s: float = 10.0,
        limits_used: Used = dict,
        pauses: Pauses | None = None,
    ) -> None:
        timing = timing or TimingConfig()
        self._account = account
        self._positions = positions
        self._bus = bus
        self._clock = clock
        self._drain_timeout_s = drain_timeout_s
        self._reaper_interval_s = timing.reaper_interval_ms / 1000
        self._gate = GateView()
        self._handed_over: QueueInbox[SettleTask] = QueueInbox(size_max=HANDED_OVER_MAX)
        self._started = asyncio.Event()
        counts = ExecutionMetrics(metrics)
        answer_s = timing.answer_ms / 1000
        self.budget = RateBudget(
            limits or RateLimitConfig(),
            clock=clock,
            held_until_ns=lambda: venue.held_until_ns,
            metrics=metrics,
            used=limits_used,
        )
        self._in_flight = InFlight()
        self._markets = Markets(account=account, feed=venue, positions=positions)
        self._sending = Sending(
            gateway=venue,
            lookup=venue,
            positions=positions,
            clock=clock,
            budget=self.budget,
            in_flight=self._in_flight,
            answer_s=answer_s,
            metrics=counts,
            pauses=pauses or Pauses(),
        )
        settler = Settler(
            gateway=venue,
            lookup=venue,
            positions=positions,
            clock=clock,
            budget=self.budget,
            in_flight=self._in_flight,
            fence=Fence(
                clock_skew_ns=timing.clock_skew_ms * 10**6,
                visibility_ns=timing.visibility_ms * 10**6,
            ),
            answer_s=answer_s,
            metrics=counts,
        )
        self._settlement = settlement(settler.settle)
        self._reaper = Reaper(
            markets=self._markets,
            positions=positions,
            settlement=self._settlement,
            settler=settler,
            in_flight=self._in_flight,
            clock=clock,
            patience_ns=timing.clock_skew_ms * 10**6 + int(answer_s * 1e9),
            metrics=counts,
        )
        self._executor = OrderExecutor(
            positions=positions,
            markets=self._markets,
            sending=self._sending,
            budget=self.budget,
            clock=clock,
            timing=timing,
            gate=lambda: self._gate,
            hand_over=self._handed_over.put,
            metrics=counts,
        )
        metrics.gauge("requests_in_flight", "Requests on their way.").set_function(
            lambda: float(len(self._in_flight))
        )
        metrics.gauge("settle_tasks_running", "Settle tasks that run here.").set_function(
            lambda: float(len(self._settlement.running()))
        )
        metrics.gauge(
            "gate_open", "1 while the gate, as seen here, lets exposure through."
        ).set_function(lambda: float(self.gate_open))

    @property
    def gate_open(self) -> bool:
        """The risk gate, as seen here, lets exposure through."""
        return not self._gate.closed_because(self._clock.now_ns())

    async def run(self, stop: asyncio.Event) -> None:
        """Settle what was left, then carry out batches until `stop` is set, then drain."""
        async with self._settlement, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._watch_gate(), name="gate"),
                group.create_task(self._begin_settling(), name="settle-tasks"),
                group.create_task(self._work(), name="actions"),
            ]
            await stop.wait()
            tasks[-1].cancel()
            await self._executor.drain(self._drain_timeout_s)
            for task in tasks:
                task.cancel()

    async def started(self) -> None:
        """Wait until what was left is handed over and batches are taken."""
        await self._started.wait()

    async def check_started(self) -> None:
        """Part of readiness.

        Raises:
            DependencyError: What an earlier process left is not handed over yet.
        """
        if not self._started.is_set():
            raise DependencyError("what an earlier process left in doubt is not handed over yet")

    async def submit(self, batch: ActionBatch) -> Reservation:
        """Carry out a batch; the answer comes when its intents are committed.

        Raises:
            Refusal: Nothing of it may be done now, or the state refuses it.
            DependencyError: The service has not started, or the state service does not answer.
        """
        await self.check_started()
        return await self._executor.execute(batch)

    async def status(self) -> ExecutionStatus:
        """How the execution stands, as of now.

        Raises:
            DependencyError: The state service or the settlement's store does not answer.
        """
        bots = await self._markets.bots()
        unsettled = [await unsettled_orders(self._positions, bot_id) for bot_id in bots]
        return ExecutionStatus(
            in_flight=len(self._in_flight),
            unsettled=sum(map(len, unsettled)),
            tasks_pending=await self._settlement.pending(),
            batches=self._executor.tally.batches,
            orders_sent=self._sending.orders_sent,
            gate_open=self.gate_open,
        )

    async def _work(self) -> None:
        await self._hand_over_what_was_left()
        self._started.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reaper.run(self._reaper_interval_s), name="reaper")
            while True:
                try:
                    async with self._bus.subscribe(ACTIONS, self._account) as batches:
                        async for received in batches:
                            group.create_task(self._carry_out(received))
                except DependencyError as error:
                    _log.warning("actions_not_heard", problem=str(error))
                await asyncio.sleep(RETRY_S)

    async def _hand_over_what_was_left(self) -> None:
        while True:
            try:
                await self._markets.read()
                left = await self._reaper.scan(at_start=True)
            except DependencyError as error:
                _log.warning("not_started_yet", problem=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                _log.info("started", account=self._account, orders_left_in_doubt=left)
                return

    async def _carry_out(self, received: Received[ActionBatch]) -> None:
        """Carry out a batch from the bus; nobody waits for an answer there."""
        batch = received.event
        with span("carry out batch", parent=extract(received.trace)):
            try:
                await self._executor.execute(batch)
            except Refusal as refusal:
                # A decision that the state has overtaken is an everyday event.
                stale = refusal.reason is RefusalReason.STALE_REVISION
                log = _log.debug if stale else _log.info
                log("batch_refused", batch=batch.batch_id, refusal=str(refusal))
            except DependencyError as error:
                _log.warning("batch_not_carried_out", batch=batch.batch_id, problem=str(error))
            except Exception:
                _log.exception("batch_failed", batch=batch.batch_id)

    async def _begin_settling(self) -> None:
        """One at a time, since nothing waits for it: the next batch goes before this."""
        async for task in self._handed_over:
            try:
                await self._settlement.see_to(task)
            except DependencyError as error:
                _log.warning("settle_task_not_begun", task=task.task_id, problem=str(error))
            except Exception:  # the reaper finds its orders; trading goes on
                _log.exception("settle_task_not_begun", task=task.task_id)

    async def _watch_gate(self) -> None:
        while True:
            try:
                async with self._bus.subscribe(GATE, self._account) as beats:
                    async for received in beats:
                        self._gate = self._gate.after(received.event)
            except DependencyError as error:
                _log.warning("gate_not_heard", problem=str(error))
            await asyncio.sleep(RETRY_S)
