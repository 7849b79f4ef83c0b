"""`MemoryPositions`: the owner of the slots, without a service around it.

The real `SlotManager` over a `MemoryStore`, so what it refuses and what it answers is what the
state service refuses and answers. Its watch can be made to break, repeat and leave out.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

from opensqt.core.actions import ActionBatch
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridIdentity
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Execution, Order
from opensqt.ports import (
    NOTHING_MORE,
    Checkpoint,
    Clock,
    DependencyError,
    Page,
    Wanted,
    WatchEvent,
)
from opensqt.testing.memory_store import MemoryStore

T = TypeVar("T")

LIMIT = 1000


class MemoryPositions:
    """Implements `ports.PositionManager`, in one process and on one store.

    Args:
        store: Keeps the books.
        clock: Tells the time of the commits.
    """

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watchers: list[tuple[str, asyncio.Queue[WatchEvent | Exception]]] = []
        self.answers = True
        """Set to False, every call fails before it does anything."""
        self.told: Callable[[WatchEvent], Iterable[WatchEvent]] = lambda event: (event,)
        """What watchers are told of an event: change it to repeat events or to leave some out."""
        self.watched_from: list[int] = []
        """The revisions from which watching began."""

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        """Register a grid, or return the registered one."""
        self._reach()
        book, _ = await self._store.register(identity, now_ns=self._clock.now_ns())
        return book

    async def reserve(self, batch: ActionBatch, *, deadline_ns: int) -> Reservation:
        """Commit a batch's intents."""
        now_ns = self._clock.now_ns()
        return await self._commit(
            batch.bot_id,
            lambda book: SlotManager(book).reserve(batch, deadline_ns=deadline_ns, now_ns=now_ns),
            Wanted(batch_id=batch.batch_id),
        )

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        """Record what the exchange answered."""
        now_ns = self._clock.now_ns()
        return await self._commit(
            bot_id,
            lambda book: SlotManager(book).record(results, now_ns=now_ns),
            Wanted(order_ids=tuple(result.client_oid for result in results)),
        )

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order."""
        self._reach()
        now_ns = self._clock.now_ns()
        bot_id = await self._store.bot_of_order(update.client_oid)
        if bot_id is None:
            reason = "not an order of any grid"
            await self._store.quarantine(update, reason, now_ns=now_ns)
            return Applied(revision=0, changed=False, quarantined=reason)
        return await self._commit(
            bot_id,
            lambda book: SlotManager(book).apply(update, now_ns=now_ns),
            Wanted(order_ids=(update.client_oid,)),
        )

    async def grid(self, bot_id: str) -> GridBook:
        """A grid with all its slots and live orders."""
        self._reach()
        return await self._store.load(bot_id)

    async def grids(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots."""
        self._reach()
        return await self._store.identities()

    async def orders(
        self,
        bot_id: str,
        *,
        live_only: bool = False,
        unsettled_only: bool = False,
        batch_id: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Order]:
        """Orders, newest first; the token of a page is its last order."""
        self._reach()
        size = page_size or LIMIT
        orders = await self._store.orders(
            bot_id,
            live_only=live_only,
            unsettled_only=unsettled_only,
            batch_id=batch_id,
            limit=size,
            before=page_token,
        )
        token = orders[-1].client_oid if len(orders) == size else ""
        return Page(items=orders, next_token=token)

    async def executions(
        self, bot_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> Page[Execution]:
        """Executions, newest first; the token of a page is its last row."""
        self._reach()
        size = page_size or LIMIT
        rows = await self._store.executions(bot_id, limit=size, before=int(page_token or 0))
        token = str(rows[-1][0]) if len(rows) == size else ""
        return Page(items=tuple(execution for _, execution in rows), next_token=token)

    async def watch(self, bot_id: str, *, from_revision: int = 0) -> AsyncIterator[WatchEvent]:
        """A snapshot or the changes since a revision, then every change."""
        self._reach()
        self.watched_from.append(from_revision)
        queue: asyncio.Queue[WatchEvent | Exception] = asyncio.Queue()
        watcher = (bot_id, queue)
        self._watchers.append(watcher)
        try:
            if from_revision:
                for change in await self._store.changes_after(bot_id, from_revision, LIMIT):
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

    async def _commit(
        self,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> T:
        self._reach()
        outcome = await self._store.transact(bot_id, decide, wanted)
        if outcome.change is not None:
            self.tell(bot_id, outcome.change)
        return outcome.value

    def _reach(self) -> None:
        if not self.answers:
            raise DependencyError("the owner of the slots was told not to answer")
