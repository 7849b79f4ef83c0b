"""The outbox: publishes what was committed, in order, at least once, and forgets the oldest."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog

from opensqt.core.grid.book import GridChange
from opensqt.ports import GRID_CHANGES, DependencyError, EventBus, StateStore
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.metrics import Metrics

_log = structlog.get_logger(__name__)

GATHER_S: Final = 0.1
"""Commits of this time are published together: the way from tick to wire does not lead here."""

LOOK_INTERVAL_S: Final = 1.0
"""Look at least so often, whatever signals say."""

CHANGES_MAX: Final = 200
COMPACT_INTERVAL_S: Final = 60.0
RETRY_S: Final = 0.5


class Outbox:
    """Publishes the store's changes.

    Args:
        store: Keeps them.
        bus: Carries them.
        keep_revisions: Changes of each grid that are kept for watchers to resume from.
        metrics: Where they are counted.
    """

    def __init__(
        self, *, store: StateStore, bus: EventBus, keep_revisions: int, metrics: Metrics
    ) -> None:
        self._store = store
        self._bus = bus
        self._keep_revisions = keep_revisions
        self._published = metrics.counter("state_changes_published", "Changes that were published.")
        self._waiting = metrics.gauge(
            "state_outbox_waiting", "Changes that were seen waiting at the last look."
        )

    async def publish(self) -> None:
        """Publish for ever."""
        while True:
            try:
                async with self._store.committed() as changed:
                    while True:
                        await self._publish_waiting()
                        await self._until_due(changed)
            except DependencyError as error:
                _log.warning("changes_not_published_yet", problem=str(error))
                await asyncio.sleep(RETRY_S)

    async def compact(self) -> None:
        """Forget the oldest changes, for ever."""
        while True:
            await asyncio.sleep(COMPACT_INTERVAL_S)
            try:
                dropped = await self._store.compact(self._keep_revisions)
            except DependencyError as error:
                _log.warning("not_compacted", problem=str(error))
            else:
                _log.debug("compacted", dropped=dropped)

    async def _publish_waiting(self) -> None:
        while True:
            changes = await self._store.unpublished(CHANGES_MAX)
            self._waiting.set(len(changes))
            if not changes:
                return
            for change in changes:
                crash_point(CrashPoint.PUBLISHING_BEFORE_SEND)
                await self._bus.publish(
                    GRID_CHANGES,
                    change.bot_id,
                    change,
                    message_id=message_id(change),
                )
            crash_point(CrashPoint.PUBLISHING_BEFORE_MARK)
            await self._store.mark_published(changes)
            self._published.inc(len(changes))

    async def _until_due(self, changed: AsyncIterator[str]) -> None:
        try:
            async with asyncio.timeout(LOOK_INTERVAL_S):
                await anext(changed)
        except TimeoutError:
            return
        await asyncio.sleep(GATHER_S)


def message_id(change: GridChange) -> str:
    """The same whenever a change is published again, and that of no other.

    Bot and revision would not do: after a ledger was lost, the revisions of the next one begin
    again, and the bus would take its changes for those that it has already.
    """
    return f"{change.bot_id}:{change.revision}:{change.commit_time_ns}"
