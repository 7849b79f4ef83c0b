"""Watching a grid: a snapshot, every change in order, and word that nothing was missed.

A watcher pulls from the store at its own pace, so a slow one costs no memory, and a signal that
gets lost costs it at most one interval.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from opensqt.ports import Checkpoint, StateStore, WatchEvent

CHECKPOINT_INTERVAL_S: Final = 1.0
CHANGES_MAX: Final = 100
"""Changes that are read at once."""


async def watch_grid(
    store: StateStore, bot_id: str, *, from_revision: int
) -> AsyncGenerator[WatchEvent, None]:
    """Everything that happens to a grid, for ever.

    Args:
        store: Keeps the grid.
        bot_id: The bot.
        from_revision: The revision that the watcher knows; 0 begins with a snapshot.

    Raises:
        Refusal: BOT_UNKNOWN, or REVISION_COMPACTED when changes are no longer kept: begin again.
        DependencyError: The store does not answer.
    """
    async with store.committed() as changed:  # before the first look, so that nothing falls between
        revision = from_revision
        if not revision:
            book = await store.load(bot_id)
            revision = book.revision
            yield book
        while True:
            changes = await store.changes_after(bot_id, revision, CHANGES_MAX)
            for change in changes:
                assert change.revision == revision + 1, "the store promises changes without gaps"
                revision = change.revision
                yield change
            if not changes:
                yield Checkpoint(revision=revision)
            if len(changes) < CHANGES_MAX:
                await _until_changed(changed, bot_id)


async def _until_changed(changed: AsyncIterator[str], bot_id: str) -> None:
    try:
        async with asyncio.timeout(CHECKPOINT_INTERVAL_S):
            async for name in changed:
                if name == bot_id:
                    return
    except TimeoutError:
        return
