"""`Ledger`: the position manager on a store. What it decides, the pure `SlotManager` decides."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace

import structlog

from opensqt.core.actions import ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridIdentity, Standing
from opensqt.core.grid.results import Applied, PlacementResult, Reservation
from opensqt.core.grid.slots import SlotManager
from opensqt.core.identifiers import epoch_at
from opensqt.core.numbers import plain
from opensqt.core.orders import Execution, Order
from opensqt.ports import Clock, Page, Quarantined, StateStore, Wanted, WatchEvent
from opensqt.runtime.metrics import Metrics
from services.state.changes import Changes
from services.state.order_updates import OrderUpdates
from services.state.pages import item_before, size_of_page, token_after
from services.state.watch import watch_grid

_log = structlog.get_logger(__name__)


class Ledger:
    """Implements `ports.PositionManager` in the process that owns the store.

    Args:
        store: Keeps the books.
        clock: Tells when changes are committed.
        metrics: Where changes are counted.
    """

    def __init__(self, *, store: StateStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._changes = Changes(store=store, clock=clock, metrics=metrics)
        self._updates = OrderUpdates(
            store=store, changes=self._changes, clock=clock, metrics=metrics
        )
        self._reservations = metrics.counter(
            "state_reservations", "Batches, by what became of them.", ("outcome",)
        )
        self._intents = metrics.counter("state_intents", "Orders committed to be placed.")
        self._watchers = metrics.gauge("state_watchers", "Watches that are open.")

    async def register(self, identity: GridIdentity) -> tuple[GridBook, bool]:
        """Register a grid, or return the registered one; the book, and whether it is new.

        Raises:
            Refusal: BOT_DIFFERS when the bot is registered with other parameters.
        """
        now_ns = self._clock.now_ns()
        proposed = replace(identity, epoch=epoch_at(now_ns))
        book, created = await self._store.register(proposed, now_ns=now_ns)
        kept = book.identity
        for name in ("account", "symbol", "quote", "direction", "interval"):
            given, registered = getattr(identity, name), getattr(kept, name)
            if given != registered:
                raise Refusal(
                    RefusalReason.BOT_DIFFERS,
                    field=f"identity.{name}",
                    value=given,
                    allowed=f"{registered}, as registered, or another bot id",
                )
        if created:
            _log.info(
                "grid_registered",
                bot=kept.bot_id,
                account=kept.account,
                symbol=kept.symbol,
                anchor=plain(kept.anchor),
                interval=plain(kept.interval),
            )
        return book, created

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        """Register a grid, or return the registered one with its own anchor and epoch."""
        book, _ = await self.register(identity)
        return book

    async def reserve(
        self, batch: ActionBatch, *, deadline_ns: int, request_id: str = ""
    ) -> Reservation:
        """Commit a batch's intents before anything is sent."""
        now_ns = self._clock.now_ns()
        outcome = await self._changes.commit(
            "reserve",
            batch.bot_id,
            lambda book: SlotManager(book).reserve(
                batch, deadline_ns=deadline_ns, now_ns=now_ns, request_id=request_id
            ),
            Wanted(batch_id=batch.batch_id, request_id=request_id),
        )
        reservation = outcome.value
        if reservation.repeated:
            self._reservations.labels("repeated").inc()
        else:
            self._reservations.labels("committed").inc()
            self._intents.inc(len(reservation.to_place))
        return reservation

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        """Record what the exchange answered; the revision after it."""
        now_ns = self._clock.now_ns()
        outcome = await self._changes.commit(
            "record",
            bot_id,
            lambda book: SlotManager(book).record(results, now_ns=now_ns),
            Wanted(order_ids=tuple(result.client_oid for result in results)),
        )
        return outcome.value

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order; what is not ours is put aside and left alone."""
        return await self._updates.apply(update)

    async def put_aside(self, update: OrderUpdate, reason: str) -> None:
        """Put an update aside that could not be applied, and halt the grid whose order it is."""
        await self._updates.put_aside(update, reason)

    async def confirm_grid(self, bot_id: str, *, epoch: int) -> int:
        """Let a RECONCILING grid trade: all that the exchange has of it is in the book.

        Raises:
            Refusal: BOT_DIFFERS when the grid's epoch is another.
        """
        now_ns = self._clock.now_ns()
        outcome = await self._changes.commit(
            "confirm", bot_id, lambda book: SlotManager(book).confirm(epoch=epoch, now_ns=now_ns)
        )
        if outcome.change is not None and outcome.book.standing is Standing.TRADING:
            _log.info("grid_confirmed", bot=bot_id, revision=outcome.value)
        return outcome.value

    async def halt_grid(self, bot_id: str, *, reason: str, by: str) -> int:
        """Halt a grid until a person resumes it; the revision after it."""
        return await self._changes.halt(bot_id, f"{reason} ({by})")

    async def resume_grid(self, bot_id: str, *, by: str) -> int:
        """End a halt: the grid is compared once more, and then trades; the revision after it."""
        now_ns = self._clock.now_ns()
        outcome = await self._changes.commit(
            "resume", bot_id, lambda book: SlotManager(book).resume(now_ns=now_ns)
        )
        if outcome.change is not None:
            _log.warning("grid_resumed", bot=bot_id, by=by)
        return outcome.value

    async def quarantine(self, *, page_size: int = 0, page_token: str = "") -> Page[Quarantined]:
        """What was put aside, newest first."""
        size = size_of_page(page_size)
        before = int(item_before(page_token, "quarantine") or 0)
        rows = await self._store.quarantined(limit=size + 1, before=before)
        items = tuple(item for _, item in rows[:size])
        if len(rows) <= size:
            return Page(items=items)
        return Page(items=items, next_token=token_after(str(rows[size - 1][0]), "quarantine"))

    async def grid(self, bot_id: str) -> GridBook:
        """A grid with all its slots and live orders."""
        return await self._store.load(bot_id)

    async def grids(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots."""
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
        """Orders, newest first."""
        query = ("orders", bot_id, live_only, unsettled_only, batch_id)
        size = size_of_page(page_size)
        orders = await self._store.orders(
            bot_id,
            live_only=live_only,
            unsettled_only=unsettled_only,
            batch_id=batch_id,
            limit=size + 1,
            before=item_before(page_token, *query),
        )
        if len(orders) <= size:
            return Page(items=orders)
        return Page(
            items=orders[:size], next_token=token_after(orders[size - 1].client_oid, *query)
        )

    async def executions(
        self, bot_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> Page[Execution]:
        """Executions, newest first."""
        query = ("executions", bot_id)
        size = size_of_page(page_size)
        before = int(item_before(page_token, *query) or 0)
        rows = await self._store.executions(bot_id, limit=size + 1, before=before)
        items = tuple(execution for _, execution in rows[:size])
        if len(rows) <= size:
            return Page(items=items)
        return Page(items=items, next_token=token_after(str(rows[size - 1][0]), *query))

    async def watch(
        self, bot_id: str, *, from_revision: int = 0
    ) -> AsyncGenerator[WatchEvent, None]:
        """A snapshot (unless `from_revision` is given), then every change, then checkpoints."""
        with self._watchers.track_inprogress():
            watching = watch_grid(self._store, bot_id, from_revision=from_revision)
            async with contextlib.aclosing(watching) as events:
                async for event in events:
                    yield event

    async def ping(self) -> None:
        """Answer if the store does."""
        await self._store.ping()
