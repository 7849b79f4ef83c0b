"""`PostgresStateStore`: the books in PostgreSQL, every change one transaction.

The usual change costs one round trip: it is decided on the remembered book and committed by one
statement that takes effect only if the book is still at that revision. Everything else (the first
look at a book, a commit of another replica, a refusal, an order that ended long ago) is decided on
the book as it is stored, under its row's lock.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final, Self, TypeVar
from weakref import WeakValueDictionary

import psycopg
from psycopg.types.numeric import Int8

from opensqt.adapters.postgres import rows, statements
from opensqt.adapters.postgres.book_cache import OrderOwners, RememberedBook
from opensqt.adapters.postgres.listener import CommitListener, CommitNotifier
from opensqt.adapters.postgres.pool import Database
from opensqt.adapters.postgres.quarantine import QUARANTINED_MAX, Quarantine
from opensqt.adapters.postgres.queries import Queries
from opensqt.adapters.postgres.reading import (
    change_of,
    empty_book,
    read_book,
    revision_of,
)
from opensqt.adapters.postgres.writing import write_change
from opensqt.adapters.signals import Signals
from opensqt.core.errors import Refusal
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity, Standing
from opensqt.core.grid.refusals import bot_unknown, compacted, tag_taken
from opensqt.core.grid.results import Outcome
from opensqt.core.identifiers import bot_tag
from opensqt.core.orders import Execution, Order
from opensqt.ports import NOTHING_MORE, Quarantined, Wanted
from opensqt.runtime.config_models import PostgresConfig

T = TypeVar("T")

OWNERS_MAX: Final = 100_000
SEQ_MAX: Final = 2**63 - 1
"""Above every row number."""


class PostgresStateStore:
    """Implements `ports.StateStore`; open it with `open`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = Queries(database)
        self._quarantine = Quarantine(self._queries)
        self._origin = secrets.token_hex(8)
        self._signals = Signals()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._books: dict[str, RememberedBook] = {}
        self._owners = OrderOwners(OWNERS_MAX)
        self._notifier = CommitNotifier(database, origin=self._origin)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, config: PostgresConfig) -> AsyncIterator[Self]:
        """A store on a database whose tables are there (see `migrate`)."""
        async with Database(config, name="state") as database:
            store = cls(database)
            listener = CommitListener(config, origin=store._origin, signals=store._signals)
            tasks = (
                asyncio.create_task(listener.run(), name="postgres-listener"),
                asyncio.create_task(store._notifier.run(), name="postgres-notifier"),
            )
            try:
                yield store
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def register(self, identity: GridIdentity, *, now_ns: int) -> tuple[GridBook, bool]:
        """Create the grid if its bot is not registered."""
        values = {
            "bot_id": identity.bot_id,
            "bot_tag": bot_tag(identity.bot_id),
            "account": identity.account,
            "symbol": identity.symbol,
            "quote": identity.quote,
            "direction": identity.direction.value,
            "anchor": identity.anchor,
            "interval": identity.interval,
            "epoch": identity.epoch,
            "created_ns": now_ns,
            "standing": Standing.RECONCILING.value,
            "notice": statements.notice(self._origin, identity.bot_id),
        }
        async with self._database.session() as session:
            answer = await session.execute(statements.REGISTER, values)
            created = await answer.fetchone() is not None
            if not created:
                answer = await session.execute(statements.BOT_OF_TAG, (values["bot_tag"],))
                holder = await answer.fetchone()
                if holder is not None and holder[0] != identity.bot_id:
                    raise tag_taken(identity, holder[0])
        if created:
            self._signals.send(identity.bot_id)
        return await self.load(identity.bot_id), created

    async def transact(
        self,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> Outcome[T]:
        """Decide on the book, and commit the change."""
        async with self._turns.setdefault(bot_id, asyncio.Lock()):
            try:
                outcome = await self._on_remembered(bot_id, decide, wanted)
                return outcome or await self._on_stored(bot_id, decide, wanted)
            except Refusal:
                raise
            except BaseException:
                # Cancelled or cut off: whether the change is committed is not known here.
                self._books.pop(bot_id, None)
                raise

    async def bot_of_order(self, client_oid: str) -> str | None:
        """The bot that owns an order."""
        bot_id = self._owners.get(client_oid)
        if bot_id is None:
            row = await self._queries.one(statements.BOT_OF_ORDER, (client_oid,))
            if row is None:
                return None
            bot_id = str(row["bot_id"])
            self._owners.add(client_oid, bot_id)
        return bot_id

    async def client_oid_of(self, account: str, symbol: str, exchange_order_id: str) -> str | None:
        """The client order id of the order that the exchange calls so."""
        row = await self._queries.one(
            statements.ORDER_OF_EXCHANGE_ID,
            {"account": account, "symbol": symbol, "exchange_order_id": exchange_order_id},
        )
        return None if row is None else str(row["client_oid"])

    async def load(self, bot_id: str) -> GridBook:
        """A book as of now."""
        async with self._database.session() as session:
            remembered = self._books.get(bot_id)
            if remembered and await revision_of(session, bot_id) == remembered.revision:
                return remembered.book
            async with session.transaction():
                await session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                book = await read_book(session, bot_id, statements.GRID, NOTHING_MORE)
        if book is None:
            raise bot_unknown(bot_id)
        return book

    async def identities(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots and orders."""
        return tuple(empty_book(row) for row in await self._queries.all(statements.GRIDS, None))

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
        found = await self._queries.all_of(
            bot_id,
            statements.orders_listed(
                live_only=live_only,
                unsettled_only=unsettled_only,
                of_batch=bool(batch_id),
                before=bool(before),
            ),
            {"bot_id": bot_id, "batch_id": batch_id, "limit": limit, "before": before},
        )
        return tuple(rows.order_of(row) for row in found)

    async def executions(
        self, bot_id: str, *, limit: int, before: int
    ) -> tuple[tuple[int, Execution], ...]:
        """Executions with their row numbers, newest first."""
        values = {"bot_id": bot_id, "limit": limit, "before": Int8(before or SEQ_MAX)}
        found = await self._queries.all_of(bot_id, statements.EXECUTIONS_LISTED, values)
        return tuple((row["seq"], rows.execution_of(row)) for row in found)

    async def changes_after(self, bot_id: str, revision: int, limit: int) -> tuple[GridChange, ...]:
        """Committed changes after a revision."""
        remembered = self._books.get(bot_id)
        if remembered and (changes := remembered.changes_after(revision, limit)):
            return changes
        values = {"bot_id": bot_id, "revision": revision, "limit": limit}
        found = await self._queries.all(statements.CHANGES_AFTER, values)
        if not found:
            raise bot_unknown(bot_id)
        newest = found[0]["newest"]
        oldest = newest if found[0]["oldest"] is None else found[0]["oldest"]
        if not oldest <= revision <= newest:
            raise compacted(revision, oldest=oldest, newest=newest)
        return tuple(change_of(row["payload"]) for row in found if row["payload"] is not None)

    def committed(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of bots that some commit changed, of this process or another."""
        return self._signals.listen()

    async def unpublished(self, limit: int) -> tuple[GridChange, ...]:
        """Changes that were not published yet."""
        found = await self._queries.all(statements.UNPUBLISHED, {"limit": limit})
        return tuple(change_of(row["payload"]) for row in found)

    async def mark_published(self, changes: tuple[GridChange, ...]) -> None:
        """These, and every earlier one of their bots, were published."""
        newest = {change.bot_id: change.revision for change in changes}
        async with self._database.session() as session, session.transaction():
            # Losing the mark in a crash means to publish again, which is harmless: do not wait.
            await session.execute("SET LOCAL synchronous_commit TO OFF")
            for bot_id, revision in sorted(newest.items()):
                await session.execute(
                    statements.MARK_PUBLISHED, {"bot_id": bot_id, "revision": revision}
                )

    async def compact(self, keep: int) -> int:
        """Drop published changes, and batches, older than the last `keep` revisions."""
        async with self._database.session() as session:
            values = {"keep": keep, "quarantined_max": QUARANTINED_MAX}
            return (await session.execute(statements.COMPACT, values)).rowcount

    async def quarantine(self, update: OrderUpdate, reason: str, *, now_ns: int) -> None:
        """Put an update aside."""
        await self._quarantine.put(update, reason, now_ns=now_ns)

    async def quarantine_reason(self, update: OrderUpdate) -> str | None:
        """Why the order of `update` was put aside last."""
        return await self._quarantine.reason(update)

    async def quarantined(self, *, limit: int, before: int) -> tuple[tuple[int, Quarantined], ...]:
        """What was put aside, with row numbers, newest first."""
        return await self._quarantine.listed(limit=limit, before=before or SEQ_MAX)

    async def ping(self) -> None:
        """Answer if the database does."""
        async with self._database.session() as session:
            await session.execute("SELECT 1")

    # --- changing a book -------------------------------------------------------------------------

    async def _on_remembered(
        self, bot_id: str, decide: Callable[[GridBook], Outcome[T]], wanted: Wanted
    ) -> Outcome[T] | None:
        """Decide on the remembered book; None when that leads to nothing that can be relied on."""
        remembered = self._books.get(bot_id)
        if remembered is None:
            return None
        if missing := remembered.missing(wanted):
            # One that ended long ago is worth a look of its own: the whole book is far bigger.
            values = {"bot_id": bot_id, "order_ids": list(missing)}
            found = await self._queries.all(statements.ORDERS_NAMED, values)
            remembered.recall(tuple(rows.order_of(row) for row in found))
        book = remembered.with_orders(wanted)
        if book is None:
            return None
        try:
            outcome = decide(book)
        except Refusal:
            return None
        async with self._database.session() as session:
            if outcome.change is None:
                current = await revision_of(session, bot_id) == book.revision
            else:
                try:
                    current = await write_change(session, outcome.change)
                except psycopg.errors.UniqueViolation:
                    return None  # a batch, or an execution, that is stored and not remembered
        if not current:
            return None
        if outcome.change is not None:
            self._note(remembered, outcome.book, outcome.change, asked=wanted.order_ids)
        return outcome

    async def _on_stored(
        self, bot_id: str, decide: Callable[[GridBook], Outcome[T]], wanted: Wanted
    ) -> Outcome[T]:
        """Decide on the stored book, holding its lock until the change is committed."""
        async with self._database.session() as session, session.transaction():
            book = await read_book(session, bot_id, statements.GRID_FOR_UPDATE, wanted)
            if book is None:
                raise bot_unknown(bot_id)
            remembered = self._books.get(bot_id)
            if remembered is None or remembered.revision != book.revision:
                remembered = self._books[bot_id] = RememberedBook(book)
            outcome = decide(book)
            if outcome.change is not None and not await write_change(session, outcome.change):
                raise AssertionError(f"{bot_id} moved on while its row was locked")
        if outcome.change is not None:
            self._note(remembered, outcome.book, outcome.change, asked=outcome.book.orders)
        return outcome

    def _note(
        self,
        remembered: RememberedBook,
        book: GridBook,
        change: GridChange,
        *,
        asked: Iterable[str],
    ) -> None:
        remembered.commit(book, change, asked=asked)
        for order in change.orders:
            self._owners.add(order.client_oid, change.bot_id)
        self._signals.send(change.bot_id)
        self._notifier.tell(change.bot_id)
