"""The intake: applies the order updates that come over the bus, each one before its ack.

One after the other, since the updates of an order say most in their order. An update that cannot be
applied never blocks those behind it and is never dropped: it is put aside, for a person to see.
"""

import asyncio
from typing import Final

import structlog
from opentelemetry.trace import SpanKind

from opensqt.core.events import OrderUpdate
from opensqt.ports import ORDER_UPDATES, DependencyError, EventBus, Received
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import extract, span
from services.state.ledger import Ledger

_log = structlog.get_logger(__name__)

CONSUMER: Final = "state"
"""Its position in the stream of order updates outlives the process."""

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 2.0
PROBLEM_LENGTH_MAX: Final = 200


class OrderIntake:
    """Takes order updates from the bus into the ledger.

    Args:
        ledger: Applies them.
        bus: Brings them.
        metrics: Where updates that could not be applied are counted.
    """

    def __init__(self, *, ledger: Ledger, bus: EventBus, metrics: Metrics) -> None:
        self._ledger = ledger
        self._bus = bus
        self._rejected = metrics.counter(
            "state_order_updates_rejected", "Updates from the bus that could not be applied."
        )

    async def run(self) -> None:
        """Apply updates for ever."""
        while True:
            try:
                async with self._bus.subscribe(ORDER_UPDATES, durable=CONSUMER) as updates:
                    async for received in updates:
                        await self._take(received)
            except DependencyError as error:
                _log.warning("order_updates_not_heard", problem=str(error))
            await asyncio.sleep(RETRY_FIRST_S)

    async def _take(self, received: Received[OrderUpdate]) -> None:
        wait_s = RETRY_FIRST_S
        update, problem = received.event, ""
        with span("apply order update", parent=extract(received.trace), kind=SpanKind.CONSUMER):
            while True:
                try:
                    if problem:
                        await self._ledger.put_aside(update, problem)
                    else:
                        await self._ledger.apply(update)
                except DependencyError as error:
                    # Not acknowledged and not skipped: the next ones would meet the same.
                    _log.warning("order_update_waits", problem=str(error), retry_s=wait_s)
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, RETRY_MAX_S)
                    continue
                except Exception as error:
                    self._rejected.inc()
                    _log.exception(
                        "order_update_rejected",
                        client_oid=update.client_oid,
                        exchange_order_id=update.exchange_order_id,
                        status=update.status,
                    )
                    if not problem:
                        problem = f"could not be applied: {error!r}"[:PROBLEM_LENGTH_MAX]
                        continue
                break
        crash_point(CrashPoint.APPLYING_BEFORE_ACK)
        await received.ack()
