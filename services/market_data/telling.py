"""Order updates onto the bus: each is repeated until it is stored, and remembered."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import structlog
from opentelemetry.trace import SpanKind

from opensqt.core.events import OrderUpdate
from opensqt.ports import ORDER_UPDATES, Clock, DependencyError, EventBus
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import span
from services.market_data.news import Told, fingerprint
from services.market_data.stream_health import StreamHealth

RETRY_S_MIN: Final = 0.05
RETRY_S_MAX: Final = 2.0

_log = structlog.get_logger(__name__)


class Teller:
    """Publishes the order updates of one account.

    Args:
        account: The account.
        bus: Stores the updates.
        clock: Tells the time.
        metrics: Where updates are counted.
        health: Learns when updates wait.
    """

    def __init__(
        self,
        account: str,
        *,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
        health: StreamHealth,
    ) -> None:
        self._account = account
        self._bus = bus
        self._health = health
        self.told = Told(clock)
        self._published = metrics.counter("order_updates", "Updates published", ["source"])

    async def tell(self, update: OrderUpdate, *, repetition: str = "") -> None:
        """Publish until it is stored; the id makes repeating harmless.

        Args:
            update: What to tell.
            repetition: Sets this telling apart from an earlier one of the same, which the bus
                otherwise takes for a repetition and leaves out.
        """
        crash_point(CrashPoint.TELLING_BEFORE_STORE)
        message_id = f"{self._account}:{fingerprint(update)}{repetition}"
        delay_s = RETRY_S_MIN
        with span("order update", kind=SpanKind.PRODUCER), contextlib.ExitStack() as waiting:
            while True:
                try:
                    await self._bus.publish(
                        ORDER_UPDATES, self._account, update, message_id=message_id
                    )
                    break
                except DependencyError as error:
                    if delay_s == RETRY_S_MIN:
                        waiting.enter_context(self._waiting_for_the_bus())
                    _log.warning("order_update_not_stored", id=message_id, error=str(error))
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, RETRY_S_MAX)
        crash_point(CrashPoint.TELLING_AFTER_STORE)
        self.told.note(update)
        self._published.labels(update.source).inc()

    @contextlib.contextmanager
    def _waiting_for_the_bus(self) -> Iterator[None]:
        self._health.waits(more=1)
        try:
            yield
        finally:
            self._health.waits(more=-1)
