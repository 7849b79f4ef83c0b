"""The ledger's and the gate's stores, as one process reaches them in the database.

A change is decided in the client, on the book as it was read, and committed by one statement that
takes effect only if the book is still at that revision (decision 0011).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity
from opensqt.core.grid.results import Outcome
from opensqt.core.orders import Execution, Order
from opensqt.core.risk.gate_log import GateChange
from opensqt.ports import NOTHING_MORE, Quarantined, Wanted
from opensqt.testing.memory_store import MemoryStore
from simulation.database import Database, at_once
from simulation.loop import Process

T = TypeVar("T")


class _ConflictError(Exception):
    """The book has changed since it was read."""


class Store:
    """Implements `ports.StateStore` for one process.

    Args:
        database: Keeps everything.
        process: Whose connection this is.
    """

    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self._process = process

    async def register(self, identity: GridIdentity, *, now_ns: int) -> tuple[GridBook, bool]:
        """Create the grid if its bot is not registered."""
        found = await self._ask(lambda store: store.register(identity, now_ns=now_ns))
        self._database.changed(identity.bot_id)
        return found

    async def transact(
        self,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> Outcome[T]:
        """Let `decide` decide on the book, and commit its change."""
        while True:
            book = await self._ask(lambda store: store.transact(bot_id, _read, wanted))
            outcome = decide(book.book)
            if outcome.change is None:
                return outcome
            try:
                return await self._commit(bot_id, book.book, outcome)
            except _ConflictError:
                continue

    async def bot_of_order(self, client_oid: str) -> str | None:
        """The bot that owns an order."""
        return await self._ask(lambda store: store.bot_of_order(client_oid))

    async def client_oid_of(self, account: str, symbol: str, exchange_order_id: str) -> str | None:
        """The client order id of the order that the exchange calls so."""
        return await self._ask(
            lambda store: store.client_oid_of(account, symbol, exchange_order_id)
        )

    async def load(self, bot_id: str) -> GridBook:
        """A book as of now."""
        return await self._ask(lambda store: store.load(bot_id))

    async def identities(self) -> tuple[GridBook, ...]:
        """Every registered grid."""
        return await self._ask(lambda store: store.identities())

    async def orders(
        self,
        bot_id: str,
        *,
        live_only: bool,
        unsettled_only: bool,
        batch_id: str,
        limit: int,
        before: str,
    ) -> tuple[Order, ...]:
        """Orders, newest first."""
        return await self._ask(
            lambda store: store.orders(
                bot_id,
                live_only=live_only,
                unsettled_only=unsettled_only,
                batch_id=batch_id,
                limit=limit,
                before=before,
            )
        )

    async def executions(
        self, bot_id: str, *, limit: int, before: int
    ) -> tuple[tuple[int, Execution], ...]:
        """Executions with their row numbers, newest first."""
        return await self._ask(lambda store: store.executions(bot_id, limit=limit, before=before))

    async def changes_after(self, bot_id: str, revision: int, limit: int) -> tuple[GridChange, ...]:
        """Committed changes after a revision."""
        return await self._ask(lambda store: store.changes_after(bot_id, revision, limit))

    def committed(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of bots that some commit changed."""
        return self._database.listen()

    async def unpublished(self, limit: int) -> tuple[GridChange, ...]:
        """Changes that were not published yet."""
        return await self._ask(lambda store: store.unpublished(limit))

    async def mark_published(self, changes: tuple[GridChange, ...]) -> None:
        """These were published."""
        await self._ask(lambda store: store.mark_published(changes))

    async def compact(self, keep: int) -> int:
        """Drop what is old."""
        return await self._ask(lambda store: store.compact(keep))

    async def quarantine(self, update: OrderUpdate, reason: str, *, now_ns: int) -> None:
        """Put an update aside."""
        await self._ask(lambda store: store.quarantine(update, reason, now_ns=now_ns))

    async def quarantined(self, *, limit: int, before: int) -> tuple[tuple[int, Quarantined], ...]:
        """What was put aside."""
        return await self._ask(lambda store: store.quarantined(limit=limit, before=before))

    async def quarantine_reason(self, update: OrderUpdate) -> str | None:
        """Why the order of `update` was put aside last."""
        return await self._ask(lambda store: store.quarantine_reason(update))

    async def ping(self) -> None:
        """Answer."""
        await self._ask(lambda store: store.ping())

    async def _commit(self, bot_id: str, read: GridBook, outcome: Outcome[T]) -> Outcome[T]:
        database = self._database

        def commit() -> Outcome[T]:
            before = at_once(database.store.load(bot_id))

            def decided(book: GridBook) -> Outcome[T]:
                if (book.revision, book.identity.epoch) != (read.revision, read.identity.epoch):
                    raise _ConflictError
                return outcome

            done = at_once(database.store.transact(bot_id, decided))
            database.changed(bot_id)
            assert outcome.change is not None
            if database.on_committed is not None:
                after = at_once(database.store.load(bot_id))
                database.on_committed(before, after, outcome.change)
            return done

        return await database.ask(self._process, commit)

    async def _ask(self, work: Callable[[MemoryStore], Awaitable[T]]) -> T:
        database = self._database
        return await database.ask(self._process, lambda: at_once(work(database.store)))


def _read(book: GridBook) -> Outcome[None]:
    return Outcome(book=book, change=None, value=None)


class Gates:
    """Implements `ports.GateStore` for one process.

    Args:
        database: Keeps everything.
        process: Whose connection this is.
    """

    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self._process = process

    async def history(self, account: str, limit: int) -> tuple[GateChange, ...]:
        """The latest changes, oldest first."""
        database = self._database
        return await database.ask(
            self._process, lambda: at_once(database.gates.history(account, limit))
        )

    async def append(self, account: str, change: GateChange) -> bool:
        """Commit a change if its revision is the next."""
        database = self._database
        return await database.ask(
            self._process, lambda: at_once(database.gates.append(account, change))
        )

    async def ping(self) -> None:
        """Answer."""
        await self._database.ask(self._process, lambda: None)
