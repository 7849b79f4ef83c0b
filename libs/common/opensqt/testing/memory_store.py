"""`MemoryStore`: the state store in one process, with the promises of the real one.

No threads and no clock of its own, so it runs on a virtual-time loop. It outlives the objects of
the service, as a database outlives its clients, and it can be told to fail.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from opensqt.adapters.signals import Signals
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import BatchRecord, GridBook, GridChange, GridIdentity
from opensqt.core.grid.refusals import bot_unknown, compacted, tag_taken
from opensqt.core.grid.results import Outcome
from opensqt.core.identifiers import bot_tag
from opensqt.core.orders import Execution, Order
from opensqt.ports import NOTHING_MORE, DependencyError, Quarantined, Wanted

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One grid, as it is kept."""

    book: GridBook
    orders: dict[str, Order] = field(default_factory=dict)
    """In the order in which they were made."""
    executions: list[Execution] = field(default_factory=list)
    batches: dict[str, BatchRecord] = field(default_factory=dict)
    changes: list[GridChange] = field(default_factory=list)
    compacted: int = 0
    """Changes up to this revision are no longer kept."""
    published: int = 0


class MemoryStore:
    """Implements `ports.StateStore`."""

    def __init__(self) -> None:
        self._grids: dict[str, _Kept] = {}
        self._signals = Signals()
        self.put_aside: dict[tuple[str, str, str, str], Quarantined] = {}
        """By account, symbol, exchange order id and client order id; the oldest first."""
        self.answers = True
        """Set to False, every call fails before anything is read or written."""
        self.lose_answers = 0
        """So many of the next commits take place, and their answers are lost."""

    async def register(self, identity: GridIdentity, *, now_ns: int) -> tuple[GridBook, bool]:  # noqa: ARG002 - nobody looks
        """Create the grid if its bot is not registered."""
        self._reach()
        if kept := self._grids.get(identity.bot_id):
            return kept.book, False
        for other in self._grids.values():
            if _same_tag(other.book.identity, identity):
                raise tag_taken(identity, other.book.identity.bot_id)
        book = GridBook(identity=identity)
        self._grids[identity.bot_id] = _Kept(book=book)
        self._committed(identity.bot_id)
        return book, True

    async def transact(
        self,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> Outcome[T]:
        """Let `decide` decide on the book, and commit its change."""
        self._reach()
        kept = self._kept(bot_id)
        outcome = decide(_with(kept, wanted))
        if (change := outcome.change) is not None:
            assert change.revision == kept.book.revision + 1
            kept.book = outcome.book.trimmed()
            kept.orders.update({order.client_oid: order for order in change.orders})
            kept.executions += change.executions
            if change.batch is not None:
                kept.batches[change.batch.batch_id] = change.batch
            kept.changes.append(change)
            self._committed(bot_id)
        return outcome

    async def bot_of_order(self, client_oid: str) -> str | None:
        """The bot that owns an order."""
        self._reach()
        return next((bot for bot, kept in self._grids.items() if client_oid in kept.orders), None)

    async def client_oid_of(self, account: str, symbol: str, exchange_order_id: str) -> str | None:
        """The client order id of the order that the exchange calls so."""
        self._reach()
        for kept in self._grids.values():
            if kept.book.identity.account != account:
                continue
            for order in kept.orders.values():
                if (order.symbol, order.exchange_order_id) == (symbol, exchange_order_id):
                    return order.client_oid
        return None

    async def load(self, bot_id: str) -> GridBook:
        """A book as of now."""
        self._reach()
        return self._kept(bot_id).book

    async def identities(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots and orders."""
        self._reach()
        return tuple(
            replace(self._grids[bot].book, slots={}, orders={}) for bot in sorted(self._grids)
        )

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
        self._reach()
        kept = self._kept(bot_id)
        batch = kept.batches.get(batch_id)
        of_batch = {*batch.placed, *batch.canceled} if batch else set()
        newest_first = list(reversed(kept.orders.values()))
        if before:
            places = [n for n, order in enumerate(newest_first) if order.client_oid == before]
            newest_first = newest_first[places[0] + 1 :] if places else []
        return tuple(
            order
            for order in newest_first
            if not (live_only and order.status.terminal)
            and not (unsettled_only and order.settled)
            and (not batch_id or order.client_oid in of_batch)
        )[:limit]

    async def executions(
        self, bot_id: str, *, limit: int, before: int
    ) -> tuple[tuple[int, Execution], ...]:
        """Executions with their row numbers, newest first."""
        self._reach()
        rows = list(enumerate(self._kept(bot_id).executions, start=1))
        return tuple(row for row in reversed(rows) if not before or row[0] < before)[:limit]

    async def changes_after(self, bot_id: str, revision: int, limit: int) -> tuple[GridChange, ...]:
        """Committed changes after a revision."""
        self._reach()
        kept = self._kept(bot_id)
        if not kept.compacted <= revision <= kept.book.revision:
            raise compacted(revision, oldest=kept.compacted, newest=kept.book.revision)
        return tuple(change for change in kept.changes if change.revision > revision)[:limit]

    def committed(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of bots that some commit changed."""
        return self._signals.listen()

    async def unpublished(self, limit: int) -> tuple[GridChange, ...]:
        """Changes that were not published yet."""
        self._reach()
        return tuple(
            change
            for _, kept in sorted(self._grids.items())
            for change in kept.changes
            if change.revision > kept.published
        )[:limit]

    async def mark_published(self, changes: tuple[GridChange, ...]) -> None:
        """These, and every earlier one of their bots, were published."""
        self._reach()
        for change in changes:
            kept = self._kept(change.bot_id)
            kept.published = max(kept.published, change.revision)

    async def compact(self, keep: int) -> int:
        """Drop published changes, and batches, older than the last `keep` revisions."""
        self._reach()
        dropped = 0
        for kept in self._grids.values():
            bound = min(kept.published, kept.book.revision - keep)
            if bound <= kept.compacted:
                continue
            before = len(kept.changes)
            kept.changes = [change for change in kept.changes if change.revision > bound]
            kept.batches = {k: b for k, b in kept.batches.items() if b.revision > bound}
            kept.compacted = bound
            dropped += before - len(kept.changes)
        return dropped

    async def quarantine(self, update: OrderUpdate, reason: str, *, now_ns: int) -> None:
        """Put an update aside."""
        self._reach()
        known = self.put_aside.get(_order_of(update))
        self.put_aside[_order_of(update)] = Quarantined(
            update=update,
            reason=reason,
            since_ns=now_ns if known is None else known.since_ns,
            updates=1 if known is None else known.updates + 1,
        )

    async def quarantined(self, *, limit: int, before: int) -> tuple[tuple[int, Quarantined], ...]:
        """What was put aside with row numbers, newest first."""
        self._reach()
        rows = list(enumerate(self.put_aside.values(), start=1))
        return tuple(row for row in reversed(rows) if not before or row[0] < before)[:limit]

    async def quarantine_reason(self, update: OrderUpdate) -> str | None:
        """Why the order of `update` was put aside last."""
        self._reach()
        known = self.put_aside.get(_order_of(update))
        return None if known is None else known.reason

    async def ping(self) -> None:
        """Answer."""
        self._reach()

    def _reach(self) -> None:
        if not self.answers:
            raise DependencyError("the store was told not to answer")

    def _kept(self, bot_id: str) -> _Kept:
        kept = self._grids.get(bot_id)
        if kept is None:
            raise bot_unknown(bot_id)
        return kept

    def _committed(self, bot_id: str) -> None:
        self._signals.send(bot_id)
        if self.lose_answers:
            self.lose_answers -= 1
            raise DependencyError("the answer to a commit was lost")


def _with(kept: _Kept, wanted: Wanted) -> GridBook:
    batches = {
        batch_id: batch
        for batch_id, batch in kept.batches.items()
        if batch_id == wanted.batch_id
        or (wanted.request_id and batch.request_id == wanted.request_id)
    }
    ids = [
        *wanted.order_ids,
        *(oid for batch in batches.values() for oid in (*batch.placed, *batch.canceled)),
    ]
    asked = {oid: kept.orders[oid] for oid in ids if oid in kept.orders}
    return replace(kept.book, orders={**asked, **kept.book.orders}, batches=batches)


def _same_tag(one: GridIdentity, other: GridIdentity) -> bool:
    return bot_tag(one.bot_id) == bot_tag(other.bot_id)


def _order_of(update: OrderUpdate) -> tuple[str, str, str, str]:
    return (update.account, update.symbol, update.exchange_order_id, update.client_oid)
