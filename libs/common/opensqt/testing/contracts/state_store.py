"""What every state store must do; a test module inherits the class and gives it a store."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from opensqt.core.actions import Action, ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange, Standing
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Order, OrderStatus
from opensqt.ports import Quarantined, StateStore, Wanted
from opensqt.testing.grids import (
    DEADLINE_NS,
    NOW_NS,
    SAME_TAG,
    as_travelled,
    batch_on,
    cancel,
    closing,
    execution,
    filled,
    foreign,
    identity,
    opening,
    update,
)

SIGNAL_TIMEOUT_S = 5.0
QUIET_S = 0.3
EPOCH = identity().epoch


async def register(store: StateStore, bot_id: str = "btc") -> GridBook:
    """Register a grid and let it trade."""
    await store.register(identity(bot_id), now_ns=NOW_NS)
    return (await stand(store, lambda m: m.confirm(epoch=EPOCH, now_ns=NOW_NS), bot_id)).book


async def stand(
    store: StateStore, decide: Callable[[SlotManager], Outcome[int]], bot_id: str = "btc"
) -> Outcome[int]:
    """Change whether a grid may trade."""
    return await store.transact(bot_id, lambda book: decide(SlotManager(book)))


async def reserve(
    store: StateStore, batch: ActionBatch, *, request_id: str = ""
) -> Outcome[Reservation]:
    """Commit a batch."""
    return await store.transact(
        batch.bot_id,
        lambda book: SlotManager(book).reserve(
            batch, deadline_ns=DEADLINE_NS, now_ns=NOW_NS, request_id=request_id
        ),
        Wanted(batch_id=batch.batch_id, request_id=request_id),
    )


async def place(store: StateStore, *actions: Action, bot_id: str = "btc") -> tuple[Order, ...]:
    """Commit actions on the newest book."""
    batch = batch_on(await store.load(bot_id), *actions)
    return (await reserve(store, batch)).value.to_place


async def apply(store: StateStore, event: OrderUpdate, *, bot_id: str = "btc") -> Outcome[Applied]:
    """Apply what the exchange tells."""
    return await store.transact(
        bot_id,
        lambda book: SlotManager(book).apply(event, now_ns=NOW_NS),
        Wanted(order_ids=(event.client_oid,)),
    )


async def record(store: StateStore, result: PlacementResult) -> Outcome[int]:
    """Record what the exchange answered."""
    return await store.transact(
        "btc",
        lambda book: SlotManager(book).record((result,), now_ns=NOW_NS),
        Wanted(order_ids=(result.client_oid,)),
    )


async def listed(store: StateStore, **query: Any) -> list[Order]:
    """Orders of the grid, newest first."""
    asked: dict[str, Any] = {
        "live_only": False,
        "unsettled_only": False,
        "batch_id": "",
        "limit": 100,
        "before": "",
    }
    return list(await store.orders("btc", **{**asked, **query}))


def travelled(change: GridChange) -> GridChange:
    """A change without what does not travel."""
    slots = tuple(
        replace(slot, order=slot.order and as_travelled(slot.order)) for slot in change.slots
    )
    return replace(change, slots=slots, orders=tuple(map(as_travelled, change.orders)))


class StateStoreContract(ABC):
    """Inherit, give `opened`, and every test below is yours."""

    @abstractmethod
    def opened(self) -> AbstractAsyncContextManager[StateStore]:
        """A store without any grid."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[StateStore]:
        """A store with one grid, `btc`, which trades at revision 1."""
        async with self.opened() as store:
            await register(store)
            yield store

    # --- grids -----------------------------------------------------------------------------------

    async def test_registers_a_grid_once(self, store: StateStore) -> None:
        """The anchor and the epoch of the first registration stay."""
        moved = replace(identity(), anchor=Decimal(200), epoch=1)
        book, created = await store.register(moved, now_ns=NOW_NS)
        assert (book.identity, created) == (identity(), False)
        _, created = await store.register(identity("eth"), now_ns=NOW_NS)
        assert created
        assert [b.identity.bot_id for b in await store.identities()] == ["btc", "eth"]

    async def test_refuses_a_bot_whose_ids_could_be_mistaken(self, store: StateStore) -> None:
        """Two bots of the same tag would give their orders the same ids."""
        await store.register(identity(SAME_TAG[0]), now_ns=NOW_NS)
        with pytest.raises(Refusal) as refused:
            await store.register(identity(SAME_TAG[1]), now_ns=NOW_NS)
        assert refused.value.reason is RefusalReason.VALUE_NOT_ALLOWED

    async def test_refuses_a_bot_that_is_not_registered(self, store: StateStore) -> None:
        """Whatever is asked of it."""
        for ask in (
            store.load("nobody"),
            store.transact("nobody", lambda book: Outcome(book=book, change=None, value=None)),
            store.changes_after("nobody", 0, 10),
            store.executions("nobody", limit=10, before=0),
            store.orders(
                "nobody", live_only=False, unsettled_only=False, batch_id="", limit=1, before=""
            ),
        ):
            with pytest.raises(Refusal) as refused:
                await ask
            assert refused.value.reason is RefusalReason.BOT_UNKNOWN

    # --- changes ---------------------------------------------------------------------------------

    async def test_keeps_what_was_committed(self, store: StateStore) -> None:
        """Slots, orders and totals come back equal, to the last digit."""
        (order,) = await place(store, opening(99, quantity="0.003"))
        third = execution(order, "e1", "0.001", price="98.9999999999999999", fee="0.000000000001")
        await apply(store, update(order, OrderStatus.PARTIALLY_FILLED, "0.001", fill=third))
        outcome = await apply(store, update(order, OrderStatus.CANCELED, "0.001"))
        book = await store.load("btc")
        assert book == outcome.book.trimmed()
        assert book.revision == 4
        slot = book.slots[Decimal(99)]
        assert slot.entry_cost == Decimal("0.0989999999999999999")
        assert slot.position_qty == Decimal("0.001")

    @pytest.mark.invariant(7)
    async def test_a_refusal_changes_nothing(self, store: StateStore) -> None:
        """Neither on a known book, nor on one that was just read."""
        await place(store, opening(99))
        before = await store.load("btc")
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await place(store, opening(98), opening(99))
            assert refused.value.reason is RefusalReason.ILLEGAL_TRANSITION
        assert await store.load("btc") == before
        assert await listed(store) == list(before.live_orders())

    async def test_an_error_changes_nothing(self, store: StateStore) -> None:
        """What `decide` raises comes out."""

        def stumble(_: GridBook) -> Outcome[None]:
            raise ZeroDivisionError

        before = await store.load("btc")
        with pytest.raises(ZeroDivisionError):
            await store.transact("btc", stumble)
        assert await store.load("btc") == before

    async def test_knows_a_batch_again(self, store: StateStore) -> None:
        """With its orders, even those that ended, and whatever else happened since."""
        batch = batch_on(await store.load("btc"), opening(99), opening(98))
        first = (await reserve(store, batch)).value
        ended = await apply(store, filled(first.to_place[0], "e1"))
        again = await reserve(store, batch)
        assert again.change is None
        assert again.value.repeated
        assert again.value.revision == first.revision
        assert again.value.to_place == (
            ended.book.orders[first.to_place[0].client_oid],
            first.to_place[1],
        )

    async def test_refuses_a_request_id_with_another_batch(self, store: StateStore) -> None:
        """The same id with the same batch is a repetition."""
        batch = batch_on(await store.load("btc"), opening(99))
        await reserve(store, batch, request_id="r1")
        assert (await reserve(store, batch, request_id="r1")).value.repeated
        other = batch_on(await store.load("btc"), opening(98))
        before = await store.load("btc")
        with pytest.raises(Refusal) as refused:
            await reserve(store, other, request_id="r1")
        assert refused.value.reason is RefusalReason.REQUEST_ID_REUSED
        assert await store.load("btc") == before
        await reserve(store, other, request_id="r2")

    async def test_brings_ended_orders_that_are_wanted(self, store: StateStore) -> None:
        """So that what comes late is recognised."""
        (order,) = await place(store, opening(99))
        await apply(store, filled(order, "e1"))
        late = await record(
            store,
            PlacementResult(
                client_oid=order.client_oid, status=OrderStatus.NEW, exchange_order_id="4711"
            ),
        )
        assert late.change is None
        again = await apply(store, filled(order, "e1"))
        assert not again.value.changed
        assert (await store.load("btc")).totals.fills == 1

    async def test_changes_of_one_grid_wait_for_each_other(self, store: StateStore) -> None:
        """None is lost, none is decided on a book that another has changed."""
        orders = await place(store, *(opening(90 - n) for n in range(8)))
        await asyncio.gather(*(apply(store, filled(o, f"e{i}")) for i, o in enumerate(orders)))
        book = await store.load("btc")
        assert book.revision == 2 + len(orders)
        assert book.position == sum((order.quantity for order in orders), Decimal(0))
        assert not book.live_orders()

    @pytest.mark.invariant(7, 25)
    async def test_of_two_decisions_on_one_revision_one_is_refused(self, store: StateStore) -> None:
        """Compare and set: the second allocates nothing."""
        book = await store.load("btc")
        first = batch_on(book, opening(99))
        second = replace(first, bot_id="btc", actions=(opening(98),), state_revision=book.revision)
        results = await asyncio.gather(reserve(store, first), reserve(store, second))
        assert sorted(result.value.repeated for result in results) == [False, True]
        stale = replace(batch_on(book, opening(97)), state_revision=99)
        with pytest.raises(Refusal) as refused:
            await reserve(store, stale)
        assert refused.value.reason is RefusalReason.STALE_REVISION
        assert len(await listed(store)) == 1

    # --- finding ---------------------------------------------------------------------------------

    async def test_finds_the_owner_of_an_order(self, store: StateStore) -> None:
        """By our id, or by the exchange's on its account and symbol."""
        (order,) = await place(store, opening(99))
        assert await store.bot_of_order(order.client_oid) == "btc"
        assert await store.bot_of_order("web_manual") is None
        assert await store.client_oid_of("main", "BTCUSDT", "4711") is None
        await apply(store, update(order, OrderStatus.NEW, exchange_order_id="4711"))
        assert await store.client_oid_of("main", "BTCUSDT", "4711") == order.client_oid
        assert await store.client_oid_of("main", "ETHUSDT", "4711") is None
        assert await store.client_oid_of("other", "BTCUSDT", "4711") is None
        assert await store.client_oid_of("main", "BTCUSDT", "") is None

    async def test_lists_orders_newest_first(self, store: StateStore) -> None:
        """By what they are, by their batch, page by page."""
        first, second = await place(store, opening(99), opening(98))
        await apply(store, filled(first, "e1"))
        await apply(store, update(second, OrderStatus.NEW))
        book = await store.load("btc")
        batch = batch_on(book, closing(book, 99), cancel(second))
        (third,) = (await reserve(store, batch)).value.to_place

        def ids(orders: list[Order]) -> list[str]:
            return [order.client_oid for order in orders]

        one, two, three = first.client_oid, second.client_oid, third.client_oid
        assert ids(await listed(store)) == [three, two, one]
        assert ids(await listed(store, limit=2)) == [three, two]
        assert ids(await listed(store, before=two)) == [one]
        assert ids(await listed(store, before=one)) == []
        assert ids(await listed(store, before="unknown")) == []
        assert ids(await listed(store, live_only=True)) == [three, two]
        assert ids(await listed(store, unsettled_only=True)) == [three, two]
        assert ids(await listed(store, batch_id=batch.batch_id)) == [three, two]
        assert ids(await listed(store, batch_id=f"btc:{EPOCH}:1", live_only=True)) == [two]

    async def test_lists_executions_newest_first(self, store: StateStore) -> None:
        """With row numbers to go on from."""
        for n in range(3):
            (order,) = await place(store, opening(99 - n))
            await apply(store, filled(order, f"e{n}", price=f"98.{n}"))
        rows = await store.executions("btc", limit=2, before=0)
        assert [e.execution_id for _, e in rows] == ["e2", "e1"]
        rest = await store.executions("btc", limit=2, before=rows[-1][0])
        assert [e.execution_id for _, e in rest] == ["e0"]
        assert rest[0][1].price == Decimal("98.0")
        assert rest[0][1].slot_price == Decimal(99)

    # --- following -------------------------------------------------------------------------------

    async def test_tells_every_change_in_order(self, store: StateStore) -> None:
        """From any revision that is kept."""
        (order,) = await place(store, opening(99))
        fill = await apply(store, filled(order, "e1"))
        changes = await store.changes_after("btc", 1, 10)
        assert [change.revision for change in changes] == [2, 3]
        assert fill.change is not None
        assert travelled(changes[1]) == travelled(fill.change)
        assert changes[0].batch is not None
        assert changes[0].batch.placed == (order.client_oid,)
        assert [c.revision for c in await store.changes_after("btc", 2, 10)] == [3]
        assert [c.revision for c in await store.changes_after("btc", 0, 1)] == [1]
        assert await store.changes_after("btc", 3, 10) == ()

    async def test_refuses_revisions_that_never_were(self, store: StateStore) -> None:
        """A watcher that knows more than the store watched another ledger."""
        with pytest.raises(Refusal) as refused:
            await store.changes_after("btc", 2, 10)
        assert refused.value.reason is RefusalReason.REVISION_COMPACTED

    async def test_publishes_and_forgets(self, store: StateStore) -> None:
        """Only what was published is forgotten, and only beyond what shall be kept."""
        await register(store, "eth")
        for n in range(4):
            await place(store, opening(99 - n))
        await place(store, opening(99), bot_id="eth")
        assert await store.compact(keep=0) == 0
        waiting = await store.unpublished(4)
        assert [change.revision for change in waiting] == [1, 2, 3, 4]
        await store.mark_published(waiting)
        rest = await store.unpublished(10)
        assert [(change.bot_id, change.revision) for change in rest] == [
            ("btc", 5),
            ("eth", 1),
            ("eth", 2),
        ]
        assert await store.compact(keep=2) == 3
        with pytest.raises(Refusal) as refused:
            await self.forgetful(store).changes_after("btc", 2, 10)
        assert refused.value.reason is RefusalReason.REVISION_COMPACTED
        assert [c.revision for c in await store.changes_after("btc", 3, 10)] == [4, 5]

    def forgetful(self, store: StateStore) -> StateStore:
        """The store as one sees it who remembers nothing."""
        return store

    async def test_signals_commits(self, store: StateStore) -> None:
        """Of every grid, after the commit; and none for what changed nothing."""
        await register(store, "eth")
        async with store.committed() as changed:
            await self._drain(changed)
            (order,) = await place(store, opening(99), bot_id="eth")
            async with asyncio.timeout(SIGNAL_TIMEOUT_S):
                assert await anext(changed) == "eth"
            await self._drain(changed)
            assert not (
                await apply(store, foreign(client_oid=order.client_oid), bot_id="eth")
            ).change
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await anext(changed)

    # --- standing and quarantine -----------------------------------------------------------------

    async def test_keeps_whether_a_grid_may_trade(self, store: StateStore) -> None:
        """A new grid is RECONCILING; what is said of it later is kept, with the reason."""
        book, _ = await store.register(identity("eth"), now_ns=NOW_NS)
        assert (book.revision, book.standing) == (0, Standing.RECONCILING)
        assert (await store.load("btc")).standing is Standing.TRADING
        await stand(store, lambda m: m.halt("an order was forced", now_ns=NOW_NS))
        again, created = await store.register(identity(), now_ns=NOW_NS)
        assert not created
        (listed_book,) = [b for b in await store.identities() if b.identity.bot_id == "btc"]
        for book in (await store.load("btc"), again, listed_book):
            assert (book.standing, book.standing_reason) == (Standing.HALTED, "an order was forced")
        assert not (await stand(store, lambda m: m.halt("again", now_ns=NOW_NS))).change
        await stand(store, lambda m: m.resume(now_ns=NOW_NS))
        told = await store.changes_after("btc", 0, 10)
        assert [(c.revision, c.standing, c.standing_reason) for c in told] == [
            (1, Standing.TRADING, ""),
            (2, Standing.HALTED, "an order was forced"),
            (3, Standing.RECONCILING, ""),
        ]

    async def test_puts_aside(self, store: StateStore) -> None:
        """Of each order the latest update and reason, and since when."""
        assert await store.quarantine_reason(foreign()) is None
        await store.quarantine(foreign(), "not an order of any grid", now_ns=NOW_NS)
        await store.quarantine(foreign("1000"), "not an order of any grid", now_ns=NOW_NS + 1)
        later = replace(foreign(), filled_quantity=Decimal(2), status=OrderStatus.PARTIALLY_FILLED)
        await store.quarantine(later, "something else", now_ns=NOW_NS + 2)
        assert await store.quarantine_reason(foreign()) == "something else"
        assert await store.quarantine_reason(foreign("1001")) is None
        rows = await store.quarantined(limit=10, before=0)
        assert [item for _, item in rows] == [
            Quarantined(
                update=foreign("1000"), reason="not an order of any grid", since_ns=NOW_NS + 1
            ),
            Quarantined(update=later, reason="something else", since_ns=NOW_NS, updates=2),
        ]
        assert await store.quarantined(limit=1, before=0) == rows[:1]
        assert await store.quarantined(limit=1, before=rows[0][0]) == rows[1:]
        assert await store.quarantined(limit=1, before=rows[1][0]) == ()

    async def test_answers_pings(self, store: StateStore) -> None:
        """While it is there."""
        await store.ping()

    async def _drain(self, changed: AsyncIterator[str]) -> None:
        try:
            while True:
                async with asyncio.timeout(QUIET_S):
                    await anext(changed)
        except TimeoutError:
            return
