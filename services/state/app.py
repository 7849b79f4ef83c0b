"""The state service's composition root: a ledger on a store, fed by the bus, told to the bus."""

import asyncio
from typing import Final

from opensqt.ports import Clock, EventBus, StateStore
from opensqt.runtime.metrics import Metrics
from services.state.intake import OrderIntake
from services.state.ledger import Ledger
from services.state.outbox import Outbox

KEEP_REVISIONS_DEFAULT: Final = 10_000


class StateApp:
    """Owns the ledger and what runs beside it.

    Args:
        store: Keeps the books.
        bus: Brings order updates, carries changes.
        clock: Tells the time.
        metrics: Where things are counted.
        keep_revisions: Changes of each grid that are kept for watchers to resume from.
    """

    def __init__(
        self,
        *,
        store: StateStore,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
        keep_revisions: int = KEEP_REVISIONS_DEFAULT,
    ) -> None:
        self.ledger = Ledger(store=store, clock=clock, metrics=metrics)
        """The position manager; the way in for everyone in this process."""
        self._intake = OrderIntake(ledger=self.ledger, bus=bus, metrics=metrics)
        self._outbox = Outbox(store=store, bus=bus, keep_revisions=keep_revisions, metrics=metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Apply order updates and publish changes until `stop` is set.

        Stopping in the middle of an update is harmless: it is not acknowledged, comes again, and
        changes nothing the second time.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._intake.run(), name="order-intake"),
                group.create_task(self._outbox.publish(), name="outbox"),
                group.create_task(self._outbox.compact(), name="compaction"),
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()
