"""`WatchedPositions`: the owner of the slots with a watch that can break, repeat and leave out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

from opensqt.core.grid.book import GridBook
from opensqt.core.grid.results import Outcome
from opensqt.ports import (
    NOTHING_MORE,
    Checkpoint,
    Clock,
    DependencyError,
    StateStore,
    Wanted,
    WatchEvent,
)
from opensqt.testing.memory_positions import MemoryPositions

T = TypeVar("T")

CHANGES_MAX = 1000


class WatchedPositions(MemoryPositions):
    """Tells its watchers of every change that was made through it.

    Args:
        store: Keeps the books.
        clock: Tells the time of the commits.
    """

    def __init__(self, store: StateStore, clock: Clock) -> None:
        super().__init__(store, clock)
        self._watchers: list[tuple[str, asyncio.Queue[WatchEvent | Exception]]] = []
        self.told: Callable[[WatchEvent], Iterable[WatchEvent]] = lambda event: (event,)
        """What watchers are told of an event: change it to repeat events or to leave some out."""
        self.watched_from: list[int] = []
        """The revisions from which watching began."""

    async def watch(self, bot_id: str, *, from_revision: int = 0) -> AsyncIterator[WatchEvent]:
        """A snapshot or the changes since a revision, a checkpoint, then every change."""
        self.watched_from.append(from_revision)
        self._reach("watch")
        queue: asyncio.Queue[WatchEvent | Exception] = asyncio.Queue()
        watcher = (bot_id, queue)
        self._watchers.append(watcher)
        try:
            if from_revision:
                for change in await self._store.changes_after(bot_id, from_revision, CHANGES_MAX):
                    yield change
            else:
                yield await self._store.load(bot_id)
            yield Checkpoint(revision=(await self._store.load(bot_id)).revision)
            while True:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                for told in self.told(event):
                    yield told
        finally:
            self._watchers.remove(watcher)

    def tell(self, bot_id: str, event: WatchEvent | Exception) -> None:
        """Tell an event to every watcher of a bot, or end their streams with an error."""
        for watched, queue in self._watchers:
            if watched == bot_id:
                queue.put_nowait(event)

    def break_watches(self, bot_id: str) -> None:
        """Lose the connection of every watcher of a bot."""
        self.tell(bot_id, DependencyError("the watch was told to break"))

    async def _transact(
        self,
        method: str,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> T:
        changes = []

        def note(book: GridBook) -> Outcome[T]:
            outcome = decide(book)
            changes.append(outcome.change)
            return outcome

        try:
            return await super()._transact(method, bot_id, note, wanted)
        finally:
            if changes and changes[-1] is not None:
                self.tell(bot_id, changes[-1])
