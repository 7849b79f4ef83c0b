"""`MemoryPositions`: the owner of the slots in one process, over any store.

Decides with the same `SlotManager` as the state service, and can be told to fail as a service does:
by not answering, and by losing the answer after the commit. It halts nothing and knows no forced
orders; what is about those is tested with the ledger.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeVar

from opensqt.core.actions import ActionBatch, Cancel
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridIdentity, Standing
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation
from opensqt.core.grid.slots import SlotManager
from opensqt.core.identifiers import bot_tag, parse_order_id
from opensqt.core.orders import Execution, Order
from opensqt.ports import (
    NOTHING_MORE,
    Clock,
    DependencyError,
    Page,
    Quarantined,
    StateStore,
    Wanted,
    WatchEvent,
)

T = TypeVar("T")

PAGE_SIZE = 100


class MemoryPositions:
    """Implements `ports.PositionManager`, except for watching.

    Args:
        store: Keeps the books; it may be shared, and outlive this.
        clock: Tells the time.
        confirms: Confirm every grid as soon as it is registered, for tests in which nobody
            compares it with an exchange.
    """

    def __init__(self, store: StateStore, clock: Clock, *, confirms: bool = True) -> None:
        self._store = store
        self._clock = clock
        self.confirms = confirms
        self.answers = True
        """Set to False, every call fails and changes nothing."""
        self.lose_answers_of: set[str] = set()
        """Methods whose next call is carried out, and whose answer is lost."""
        self.calls: list[str] = []
        """Methods that were called."""

    def replace_store(self, store: StateStore) -> None:
        """Lose the store and go on with another one."""
        self._store = store

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        """Register a grid."""
        self._reach("register_grid")
        now_ns = self._clock.now_ns()
        book, _ = await self._store.register(identity, now_ns=now_ns)
        if self.confirms and book.standing is Standing.RECONCILING:
            epoch = book.identity.epoch
            await self._transact(
                "register_grid",
                identity.bot_id,
                lambda book: SlotManager(book).confirm(epoch=epoch, now_ns=now_ns),
            )
            book = await self._store.load(identity.bot_id)
        return book

    async def reserve(self, batch: ActionBatch, *, deadline_ns: int) -> Reservation:
        """Commit a batch's intents."""
        self._reach("reserve")
        now_ns = self._clock.now_ns()
        canceled = tuple(a.client_oid for a in batch.actions if isinstance(a, Cancel))
        return await self._transact(
            "reserve",
            batch.bot_id,
            lambda book: SlotManager(book).reserve(batch, deadline_ns=deadline_ns, now_ns=now_ns),
            Wanted(order_ids=canceled, batch_id=batch.batch_id),
        )

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        """Record answers."""
        self._reach("record")
        now_ns = self._clock.now_ns()
        return await self._transact(
            "record",
            bot_id,
            lambda book: SlotManager(book).record(results, now_ns=now_ns),
            Wanted(order_ids=tuple(result.client_oid for result in results)),
        )

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order."""
        self._reach("apply")
        now_ns = self._clock.now_ns()
        bot_id = await self._store.bot_of_order(update.client_oid) or await self._bot_of_id(update)
        applied = Applied(revision=0, changed=False, quarantined="not an order of any grid")
        if bot_id is not None:
            applied = await self._transact(
                "apply",
                bot_id,
                lambda book: SlotManager(book).apply(update, now_ns=now_ns),
                Wanted(order_ids=(update.client_oid,)),
            )
        if applied.quarantined:
            await self._store.quarantine(update, applied.quarantined, now_ns=now_ns)
        return applied

    async def confirm_grid(self, bot_id: str, *, epoch: int) -> int:
        """Let a RECONCILING grid trade."""
        self._reach("confirm_grid")
        now_ns = self._clock.now_ns()
        return await self._transact(
            "confirm_grid",
            bot_id,
            lambda book: SlotManager(book).confirm(epoch=epoch, now_ns=now_ns),
        )

    async def halt_grid(self, bot_id: str, *, reason: str, by: str) -> int:
        """Halt a grid."""
        self._reach("halt_grid")
        now_ns = self._clock.now_ns()
        return await self._transact(
            "halt_grid",
            bot_id,
            lambda book: SlotManager(book).halt(f"{reason} ({by})", now_ns=now_ns),
        )

    async def resume_grid(self, bot_id: str, *, by: str) -> int:  # noqa: ARG002 - nobody looks
        """End a halt."""
        self._reach("resume_grid")
        now_ns = self._clock.now_ns()
        return await self._transact(
            "resume_grid", bot_id, lambda book: SlotManager(book).resume(now_ns=now_ns)
        )

    async def quarantine(self, *, page_size: int = 0, page_token: str = "") -> Page[Quarantined]:
        """What was put aside, newest first."""
        self._reach("quarantine")
        size = page_size or PAGE_SIZE
        rows = await self._store.quarantined(limit=size, before=int(page_token or 0))
        token = str(rows[-1][0]) if len(rows) == size else ""
        return Page(items=tuple(item for _, item in rows), next_token=token)

    async def grid(self, bot_id: str) -> GridBook:
        """A grid."""
        self._reach("grid")
        return await self._store.load(bot_id)

    async def grids(self) -> tuple[GridBook, ...]:
        """Every grid."""
        self._reach("grids")
        return tuple(replace(book, slots={}) for book in await self._store.identities())

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
        """Orders, newest first."""
        self._reach("orders")
        size = page_size or PAGE_SIZE
        found = await self._store.orders(
            bot_id,
            live_only=live_only,
            unsettled_only=unsettled_only,
            batch_id=batch_id,
            limit=size,
            before=page_token,
        )
        return Page(items=found, next_token=found[-1].client_oid if len(found) == size else "")

    async def executions(
        self, bot_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> Page[Execution]:
        """Executions, newest first."""
        self._reach("executions")
        size = page_size or PAGE_SIZE
        rows = await self._store.executions(bot_id, limit=size, before=int(page_token or 0))
        token = str(rows[-1][0]) if len(rows) == size else ""
        return Page(items=tuple(execution for _, execution in rows), next_token=token)

    def watch(self, bot_id: str, *, from_revision: int = 0) -> AsyncIterator[WatchEvent]:
        """Not offered: what watches is tested against the state service itself."""
        raise NotImplementedError(f"watching {bot_id} from {from_revision}")

    async def _bot_of_id(self, update: OrderUpdate) -> str | None:
        """The bot that the id of an order names that nobody knows."""
        parsed = parse_order_id(update.client_oid)
        bots = [book.identity.bot_id for book in await self._store.identities()]
        return next((bot for bot in bots if parsed and bot_tag(bot) == parsed.bot_tag), None)

    async def _transact(
        self,
        method: str,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> T:
        outcome = await self._store.transact(bot_id, decide, wanted)
        if method in self.lose_answers_of:
            self.lose_answers_of.remove(method)
            raise DependencyError(f"the answer to {method} was lost")
        return outcome.value

    def _reach(self, method: str) -> None:
        self.calls.append(method)
        if not self.answers:
            raise DependencyError(f"{method}: told not to answer")
