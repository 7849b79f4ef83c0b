"""The reaper: finds orders in doubt that nobody sees to, whatever the reason.

A crash between committing and beginning a settle task, a task that could not be begun, one that
gave up after hours, one of another process that is gone: all of them leave an unsettled order in
the state, and the state is what is scanned.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from opensqt.core.orders import Order
from opensqt.core.settle import Doubt, doubt_of
from opensqt.ports import Clock, DependencyError, PositionManager
from services.execution.in_flight import InFlight
from services.execution.markets import Markets
from services.execution.settlement import Settlement, SettleTask
from services.execution.settler import Settler, unsettled_orders
from services.execution.telemetry import ExecutionMetrics

STUCK_AFTER_NS: Final = 30 * 10**9
"""An order that is overdue for so long is asked about even if a task has it: the task may wait for
a database that has been gone. The settler sees to it that nothing is asked twice."""

_log = structlog.get_logger(__name__)


class Reaper:
    """Scans the account's grids.

    Args:
        markets: Knows the bots.
        positions: Lists their unsettled orders.
        settlement: Sees to what is found.
        settler: Sees to what the settlement will not take: a task of that id is over.
        in_flight: Orders whose answer is about to come.
        clock: Tells the time.
        patience_ns: How long after its deadline, or after the cancel, an order is left alone.
        metrics: Where finds are counted.
    """

    def __init__(
        self,
        *,
        markets: Markets,
        positions: PositionManager,
        settlement: Settlement,
        settler: Settler,
        in_flight: InFlight,
        clock: Clock,
        patience_ns: int,
        metrics: ExecutionMetrics,
    ) -> None:
        self._markets = markets
        self._positions = positions
        self._settlement = settlement
        self._settler = settler
        self._in_flight = in_flight
        self._clock = clock
        self._patience_ns = patience_ns
        self._metrics = metrics

    async def run(self, interval_s: float) -> None:
        """Scan for ever; a scan that fails is followed by the next."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.scan()
            except DependencyError as error:
                _log.warning("reaper_scan_failed", problem=str(error))
            except Exception:
                _log.exception("reaper_scan_crashed")

    async def scan(self, *, at_start: bool = False) -> int:
        """Hand over every order in doubt that nobody sees to.

        Args:
            at_start: Nothing of this process is under way, so no patience is needed.

        Returns:
            How many there were.

        Raises:
            DependencyError: The state service does not answer.
        """
        unsettled = found = 0
        for bot_id in await self._markets.bots():
            orders = await unsettled_orders(self._positions, bot_id)
            unsettled += len(orders)
            seen_to = {oid for task in self._settlement.running() for oid in task.client_oids}
            idle = [order for order in orders if order.client_oid not in self._in_flight]
            stray = [
                order
                for order in idle
                if order.client_oid not in seen_to
                and (at_start or self._overdue_ns(order) > self._patience_ns)
            ]
            stuck = [
                order.client_oid
                for order in idle
                if order.client_oid in seen_to and self._overdue_ns(order) > STUCK_AFTER_NS
            ]
            found += len(stray)
            for task in _tasks(bot_id, stray):
                await self._hand_over(task)
            if stuck:
                await self._settler.settle(bot_id, stuck)
        self._metrics.unsettled.set(unsettled)
        self._metrics.reaped.inc(found)
        return found

    def _overdue_ns(self, order: Order) -> int:
        """For how long the doubt should have been over, if nothing had gone wrong."""
        since_ns = order.updated_ns if doubt_of(order) is Doubt.CANCELING else order.deadline_ns
        return self._clock.now_ns() - since_ns

    async def _hand_over(self, task: SettleTask) -> None:
        try:
            taken = await self._settlement.see_to(task)
        except DependencyError as error:
            _log.warning("settle_task_not_begun", task=task.task_id, problem=str(error))
            taken = False
        if not taken:
            await self._settler.settle(task.bot_id, task.client_oids)


def _tasks(bot_id: str, orders: Iterable[Order]) -> tuple[SettleTask, ...]:
    """Group orders into tasks whose ids are functions of what is in doubt.

    The placing of an order belongs to its batch. Its cancel was requested by another batch, which
    the order does not name, so it has an id of its own.
    """
    groups: dict[str, list[str]] = {}
    for order in orders:
        canceling = doubt_of(order) is Doubt.CANCELING
        task_id = f"{bot_id}:cancel:{order.client_oid}" if canceling else order.batch_id
        groups.setdefault(task_id, []).append(order.client_oid)
    return tuple(
        SettleTask(task_id=task_id, bot_id=bot_id, client_oids=tuple(oids))
        for task_id, oids in groups.items()
    )
