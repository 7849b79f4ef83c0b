"""Order updates: which grid one is of, and what becomes of one that is of none.

An update is applied, or it is put aside where people see it; it is never dropped. What shows that a
book may be wrong halts its grid.
"""

from collections import OrderedDict
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Final

import structlog

from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.forced import (
    closable_against,
    forced_order_id,
    held_against,
    may_have_opened,
)
from opensqt.core.grid.results import OF_NO_GRID, Applied, Outcome, Taken
from opensqt.core.grid.slots import SlotManager
from opensqt.core.identifiers import bot_tag, parse_order_id
from opensqt.core.numbers import ZERO, plain
from opensqt.core.orders import Execution
from opensqt.ports import Clock, StateStore, Wanted
from opensqt.runtime.metrics import Metrics
from services.state.changes import Changes

_log = structlog.get_logger(__name__)

STRANGERS_KEPT: Final = 1000
"""Orders that were put aside and warned of; of each, one warning is enough."""

STEADY_NS: Final = 10 * 10**9
"""A forced execution of more than new books explain waits until they have not changed for so long;
longer than the bus takes to bring again what was not acknowledged."""
WAITING_MAX: Final = 1000


class OrderUpdates:
    """Takes what exchanges tell of orders into the books.

    Args:
        store: Knows whose an order is, and keeps what is put aside.
        changes: Commits what an update changes.
        clock: Tells when changes are committed.
        metrics: Where updates are counted.
    """

    def __init__(
        self, *, store: StateStore, changes: Changes, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        self._strangers: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._waiting: OrderedDict[str, tuple[tuple[int, ...], int]] = OrderedDict()
        """Forced executions that wait: the revisions they met, and since when."""
        self._updates = metrics.counter(
            "state_order_updates", "Updates of orders, by what became of them.", ("outcome",)
        )

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order; what is not ours is noted and left alone.

        An order that a lost ledger has made is adopted; one that shows that the book may be wrong
        halts its grid, once: the same again, after a person has resumed the grid, does not.
        """
        client_oid = update.client_oid or await self._store.client_oid_of(
            update.account, update.symbol, update.exchange_order_id
        )
        bot_id = await self._store.bot_of_order(client_oid) if client_oid else None
        if bot_id is None and update.forced is not Forced.NONE:
            return await self._force(update)
        if client_oid is None or (bot_id := bot_id or await self._bot_of_id(update)) is None:
            return await self._put_aside(update, OF_NO_GRID)
        known = replace(update, client_oid=client_oid)
        now_ns = self._clock.now_ns()
        outcome = await self._changes.commit(
            "apply",
            bot_id,
            lambda book: SlotManager(book).apply(known, now_ns=now_ns),
            Wanted(order_ids=(client_oid,)),
        )
        applied = outcome.value
        if applied.quarantined:
            if applied.halts:
                await self._halt_once(bot_id, known, applied.quarantined)
            await self._put_aside(known, applied.quarantined)
            return applied
        self._updates.labels("changed" if applied.changed else "nothing new").inc()
        return applied

    async def put_aside(self, update: OrderUpdate, reason: str) -> None:
        """Put an update aside that could not be applied, and halt the grid whose order it is."""
        bot_id = await self._store.bot_of_order(update.client_oid) if update.client_oid else None
        if bot_id is not None:
            await self._halt_once(bot_id, update, reason)
        await self._put_aside(update, reason)

    async def _halt_once(self, bot_id: str, update: OrderUpdate, reason: str) -> None:
        # Before it is put aside: a crash in between brings the update back, and it halts again.
        if await self._store.quarantine_reason(update) != reason:
            name = update.client_oid or update.exchange_order_id
            await self._changes.halt(bot_id, f"order {name}: {reason}")

    async def _force(self, update: OrderUpdate) -> Applied:
        """Take what the exchange closed by force out of the grids of the market, by bot."""
        grids = [
            await self._store.load(book.identity.bot_id)
            for book in await self._store.identities()
            if (book.identity.account, book.identity.symbol) == (update.account, update.symbol)
        ]
        if not grids:
            return await self._put_aside(update, f"{update.forced}, {OF_NO_GRID}")
        if update.execution is None:
            return Applied(revision=grids[-1].revision, changed=False)
        execution, changed, revision = update.execution, False, 0
        if await self._too_early(grids, update):
            return Applied(revision=grids[-1].revision, changed=False)
        now_ns, offered = self._clock.now_ns(), execution.quantity
        for number, grid in enumerate(grids):
            bot_id = grid.identity.bot_id
            after = grids[number + 1 :]
            elsewhere = sum((held_against(other, update.side) for other in after), ZERO)
            force = partial(
                _forced, update=update, offered=offered, elsewhere=elsewhere, now_ns=now_ns
            )
            outcome = await self._changes.commit(
                "force",
                bot_id,
                force,
                Wanted(order_ids=(forced_order_id(bot_id, execution.execution_id),)),
            )
            offered -= outcome.value.quantity
            revision = outcome.value.revision
            changed = changed or outcome.change is not None
        self._updates.labels("changed" if changed else "nothing new").inc()
        if changed and offered:
            reason = f"{update.forced}, of which the grids had not held {plain(offered)}"
            await self._put_aside(update, reason)
        return Applied(revision=revision, changed=changed)

    async def _too_early(self, grids: list[GridBook], update: OrderUpdate) -> bool:
        """What was closed is not in the books yet: the comparison will tell both, in order.

        Once the books stand still, whatever else was closed was not the grids': somebody trades on
        the account by hand, perhaps.
        """
        execution = update.execution
        assert execution is not None
        compared = all(grid.standing is not Standing.RECONCILING for grid in grids)
        explained = sum(
            (
                held_against(grid, update.side) if compared else closable_against(grid, execution)
                for grid in grids
            ),
            ZERO,
        )
        if execution.quantity <= explained:
            return False
        first = forced_order_id(grids[0].identity.bot_id, execution.execution_id)
        if await self._store.bot_of_order(first) is not None:
            return False
        if compared:
            # A fill that came before it may be on its way.
            if not any(may_have_opened(grid, update.side) for grid in grids):
                return False
            for grid in grids:
                reason = f"{update.forced}: {update.side} {plain(execution.quantity)}"
                await self._changes.doubt(grid.identity.bot_id, f"{reason} {update.symbol}")
        elif self._steady(grids, execution):
            return False
        _log.warning(
            "forced_order_waits",
            symbol=execution.symbol,
            execution=execution.execution_id,
            quantity=plain(execution.quantity),
            explained=plain(explained),
        )
        return True

    def _steady(self, grids: list[GridBook], execution: Execution) -> bool:
        """The books have not changed for a while, as far as forced executions saw it."""
        key = f"{execution.symbol}:{execution.execution_id}"
        now_ns = self._clock.now_ns()
        revisions = tuple(grid.revision for grid in grids)
        met, since_ns = self._waiting.get(key, (revisions, now_ns))
        if met != revisions:
            since_ns = now_ns
        self._waiting[key] = (revisions, since_ns)
        if len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)
        return now_ns - since_ns >= STEADY_NS

    async def _bot_of_id(self, update: OrderUpdate) -> str | None:
        """The bot whose id an order has that this ledger does not know."""
        parsed = parse_order_id(update.client_oid)
        if parsed is None:
            return None
        for book in await self._store.identities():
            identity = book.identity
            where = (identity.account, identity.symbol)
            if bot_tag(identity.bot_id) == parsed.bot_tag and where == (
                update.account,
                update.symbol,
            ):
                return identity.bot_id
        return None

    async def _put_aside(self, update: OrderUpdate, reason: str) -> Applied:
        self._updates.labels("quarantined").inc()
        await self._store.quarantine(update, reason, now_ns=self._clock.now_ns())
        order = (update.account, update.symbol, update.exchange_order_id, update.client_oid, reason)
        if order not in self._strangers:
            self._strangers[order] = None
            if len(self._strangers) > STRANGERS_KEPT:
                self._strangers.popitem(last=False)
            _log.warning(
                "order_quarantined",
                account=update.account,
                symbol=update.symbol,
                client_oid=update.client_oid,
                exchange_order_id=update.exchange_order_id,
                status=update.status,
                reason=reason,
            )
        return Applied(revision=0, changed=False, quarantined=reason)


def _forced(
    book: GridBook, *, update: OrderUpdate, offered: Decimal, elsewhere: Decimal, now_ns: int
) -> Outcome[Taken]:
    manager = SlotManager(book)
    return manager.force(update, offered=offered, elsewhere=elsewhere, now_ns=now_ns)
