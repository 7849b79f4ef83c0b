"""What every owner of the slots must do; a test module inherits the class and gives it one."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import pytest

from opensqt.core.actions import ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import (
    Direction,
    GridBook,
    GridChange,
    SlotStatus,
    Standing,
    apply_change,
)
from opensqt.core.grid.results import PlacementResult, Reservation
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import Checkpoint, PositionManager, WatchEvent
from opensqt.testing.grids import (
    DEADLINE_NS,
    as_travelled,
    batch_on,
    cancel,
    closing,
    execution,
    filled,
    forced,
    foreign,
    identity,
    lost_order,
    opening,
    update,
)

EVENT_TIMEOUT_S = 5.0

T = TypeVar("T")


def accepted(order: Order, exchange_order_id: str) -> PlacementResult:
    """The exchange's word that it has the order."""
    return PlacementResult(
        client_oid=order.client_oid, status=OrderStatus.NEW, exchange_order_id=exchange_order_id
    )


async def reserve_on(positions: PositionManager, batch: ActionBatch) -> Reservation:
    """Commit a batch."""
    return await positions.reserve(batch, deadline_ns=DEADLINE_NS)


async def refused(positions: PositionManager, batch: ActionBatch) -> Refusal:
    """The refusal of a batch, which changes nothing."""
    before = await positions.grid("btc")
    with pytest.raises(Refusal) as refusal:
        await reserve_on(positions, batch)
    assert await positions.grid("btc") == before
    return refusal.value


async def heard(events: AsyncIterator[WatchEvent], kind: type[T]) -> T:
    """The next event of a kind; checkpoints may come at any time."""
    async with asyncio.timeout(EVENT_TIMEOUT_S):
        async for event in events:
            if isinstance(event, kind):
                return event
            assert isinstance(event, Checkpoint), event
    raise AssertionError("the watch ended")


class PositionManagerContract(ABC):
    """Inherit, give `opened`, and every test below is yours."""

    @abstractmethod
    def opened(self) -> AbstractAsyncContextManager[PositionManager]:
        """A position manager without any grid."""

    @pytest.fixture
    async def positions(self) -> AsyncIterator[PositionManager]:
        """A position manager with one grid, `btc`, which trades at revision 1."""
        async with self.opened() as positions:
            book = await positions.register_grid(identity())
            await positions.confirm_grid("btc", epoch=book.identity.epoch)
            yield positions

    async def trade(self, positions: PositionManager, price: int, name: str) -> Order:
        """Open at a price, filled whole."""
        batch = batch_on(await positions.grid("btc"), opening(price))
        (order,) = (await reserve_on(positions, batch)).to_place
        await positions.apply(filled(order, name))
        return order

    # --- grids -----------------------------------------------------------------------------------

    async def test_keeps_the_first_anchor(self, positions: PositionManager) -> None:
        """However often the grid is registered, and wherever the price is by then."""
        first = await positions.grid("btc")
        again = await positions.register_grid(replace(identity(), anchor=Decimal(300)))
        assert again == first
        assert again.identity.anchor == Decimal(100)
        assert again.identity.epoch != identity().epoch  # the ledger's, not the caller's

    async def test_refuses_another_grid_under_the_same_name(
        self, positions: PositionManager
    ) -> None:
        """Naming what differs."""
        for field, other in (
            ("interval", replace(identity(), interval=Decimal(2))),
            ("symbol", replace(identity(), symbol="ETHUSDT")),
            ("direction", identity(direction=Direction.SHORT)),
        ):
            with pytest.raises(Refusal) as refusal:
                await positions.register_grid(other)
            assert refusal.value.reason is RefusalReason.BOT_DIFFERS
            assert refusal.value.field == f"identity.{field}"

    async def test_lists_grids(self, positions: PositionManager) -> None:
        """By bot, without their slots."""
        await self.trade(positions, 99, "e1")
        await positions.register_grid(identity("ada"))
        ada, btc = await positions.grids()
        assert (ada.identity.bot_id, btc.identity.bot_id) == ("ada", "btc")
        assert (btc.revision, btc.totals.fills, dict(btc.slots)) == (3, 1, {})

    async def test_refuses_a_bot_that_is_not_registered(self, positions: PositionManager) -> None:
        """Whatever is asked of it."""
        batch = replace(batch_on(GridBook(identity=identity()), opening(99)), bot_id="nobody")
        for ask in (
            positions.grid("nobody"),
            positions.orders("nobody"),
            positions.executions("nobody"),
            positions.confirm_grid("nobody", epoch=1),
            positions.halt_grid("nobody", reason="maintenance", by="ops"),
            positions.resume_grid("nobody", by="ops"),
            positions.record("nobody", (PlacementResult(client_oid="x", status=OrderStatus.NEW),)),
            reserve_on(positions, batch),
            anext(aiter(positions.watch("nobody"))),
        ):
            with pytest.raises(Refusal) as refusal:
                await ask
            assert refusal.value.reason is RefusalReason.BOT_UNKNOWN

    # --- standing --------------------------------------------------------------------------------

    async def test_a_new_grid_places_nothing(self, positions: PositionManager) -> None:
        """Until it is said that everything the exchange has of it is in its book."""
        book = await positions.register_grid(identity("ada"))
        assert (book.revision, book.standing) == (0, Standing.RECONCILING)
        batch = batch_on(book, opening(99))
        with pytest.raises(Refusal) as refusal:
            await reserve_on(positions, batch)
        assert refusal.value.reason is RefusalReason.BOT_NOT_TRADING
        with pytest.raises(Refusal) as refusal:
            await positions.confirm_grid("ada", epoch=book.identity.epoch - 1)
        assert refusal.value.reason is RefusalReason.BOT_DIFFERS
        assert (await positions.grid("ada")).revision == 0
        assert await positions.confirm_grid("ada", epoch=book.identity.epoch) == 1
        assert await positions.confirm_grid("ada", epoch=book.identity.epoch) == 1
        assert (await positions.grid("ada")).standing is Standing.TRADING
        await reserve_on(positions, batch_on(await positions.grid("ada"), opening(99)))

    async def test_a_halted_grid_closes_and_opens_nothing(self, positions: PositionManager) -> None:
        """Confirming it does not help; resuming it has it compared once more."""
        await self.trade(positions, 99, "e1")
        batch = batch_on(await positions.grid("btc"), opening(98))
        (resting,) = (await reserve_on(positions, batch)).to_place
        assert await positions.halt_grid("btc", reason="maintenance", by="ops") == 5
        assert await positions.halt_grid("btc", reason="another", by="ops") == 5
        book = await positions.grid("btc")
        assert book.standing is Standing.HALTED
        assert book.standing_reason.startswith("maintenance (")
        assert await positions.confirm_grid("btc", epoch=book.identity.epoch) == 5
        refusal = await refused(positions, batch_on(book, closing(book, 99), opening(97)))
        assert refusal.reason is RefusalReason.BOT_NOT_TRADING
        assert refusal.field == "batch.actions[1].place"
        await reserve_on(positions, batch_on(book, closing(book, 99), cancel(resting)))
        assert await positions.resume_grid("btc", by="ops") == 7
        assert await positions.resume_grid("btc", by="ops") == 7
        book = await positions.grid("btc")
        assert (book.standing, book.standing_reason) == (Standing.RECONCILING, "")
        assert await positions.confirm_grid("btc", epoch=book.identity.epoch) == 8
        await reserve_on(positions, batch_on(await positions.grid("btc"), opening(97)))

    async def test_a_grid_that_is_halted_before_it_was_compared_is_halted_after(
        self, positions: PositionManager
    ) -> None:
        """Until then it places nothing at all; resuming it before forgets the halt."""
        book = await positions.register_grid(identity("ada"))
        for resumed, standing in ((False, Standing.HALTED), (True, Standing.TRADING)):
            await positions.halt_grid("ada", reason="maintenance", by="ops")
            book = await positions.grid("ada")
            assert book.standing is Standing.RECONCILING
            assert book.standing_reason.startswith("maintenance (")
            if resumed:
                await positions.resume_grid("ada", by="ops")
            await positions.confirm_grid("ada", epoch=book.identity.epoch)
            assert (await positions.grid("ada")).standing is standing
            await positions.resume_grid("ada", by="ops")

    async def test_shows_what_was_put_aside(self, positions: PositionManager) -> None:
        """Newest first, page by page, the latest update of each order."""
        for name in ("1", "2", "3", "2"):
            assert (await positions.apply(foreign(name))).quarantined
        page = await positions.quarantine(page_size=2)
        rest = await positions.quarantine(page_size=2, page_token=page.next_token)
        items = (*page.items, *rest.items)
        assert [(item.update.exchange_order_id, item.updates) for item in items] == [
            ("3", 1),
            ("2", 2),
            ("1", 1),
        ]
        assert not rest.next_token
        assert all("not an order of any grid" in item.reason for item in items)

    # --- intents ---------------------------------------------------------------------------------

    async def test_commits_intents(self, positions: PositionManager) -> None:
        """The orders come back in the batch's order, as the book has them."""
        batch = batch_on(await positions.grid("btc"), opening(99), opening(97), opening(98))
        reservation = await reserve_on(positions, batch)
        assert not reservation.repeated
        assert reservation.revision == 2
        assert [order.slot_price for order in reservation.to_place] == [99, 97, 98]
        book = await positions.grid("btc")
        for order in reservation.to_place:
            assert order.status is OrderStatus.PENDING
            assert order.deadline_ns == DEADLINE_NS
            assert order.batch_id == batch.batch_id
            assert book.slots[order.slot_price].status is SlotStatus.PENDING
            assert book.slots[order.slot_price].order == order == book.orders[order.client_oid]

    @pytest.mark.invariant(1, 28)
    async def test_a_batch_that_comes_twice_does_nothing_twice(
        self, positions: PositionManager
    ) -> None:
        """Its caller is told what was committed, and that its orders may be on their way."""
        batch = batch_on(await positions.grid("btc"), opening(99))
        first = await reserve_on(positions, batch)
        again = await reserve_on(positions, batch)
        assert again == replace(first, repeated=True)

    async def test_refuses_a_stale_decision(self, positions: PositionManager) -> None:
        """And says at which revision the book is."""
        await self.trade(positions, 99, "e1")
        stale = replace(batch_on(await positions.grid("btc"), opening(98)), state_revision=2)
        refusal = await refused(positions, stale)
        assert refusal.reason is RefusalReason.STALE_REVISION
        assert (refusal.value, refusal.allowed) == ("2", "3")

    async def test_refuses_a_decision_on_a_ledger_that_was_lost(
        self, positions: PositionManager
    ) -> None:
        """Its revision may be that of the new ledger, and says nothing about it."""
        batch = batch_on(await positions.grid("btc"), opening(98))
        refusal = await refused(positions, replace(batch, epoch=batch.epoch - 1))
        assert refusal.reason is RefusalReason.BOT_DIFFERS
        assert refusal.field == "batch.epoch"

    async def test_refuses_what_a_slot_does_not_allow(self, positions: PositionManager) -> None:
        """All or nothing: one impossible action refuses the batch."""
        await self.trade(positions, 99, "e1")
        book = await positions.grid("btc")
        impossible = {
            "opening where something is held": opening(99),
            "closing more than is held": replace(closing(book, 99), quantity=Decimal("0.02")),
            "closing what is not held": replace(closing(book, 99), slot_price=Decimal(98)),
        }
        for action in impossible.values():
            refusal = await refused(positions, batch_on(book, opening(97), action))
            assert refusal.reason is RefusalReason.ILLEGAL_TRANSITION
            assert refusal.field == "batch.actions[1].place"
        refusal = await refused(positions, batch_on(book, opening("98.5")))
        assert refusal.reason is RefusalReason.VALUE_NOT_ALLOWED

    async def test_marks_cancels(self, positions: PositionManager) -> None:
        """An order that ended cannot be cancelled."""
        batch = batch_on(await positions.grid("btc"), opening(99))
        (order,) = (await reserve_on(positions, batch)).to_place
        await positions.record("btc", (accepted(order, "4711"),))
        batch = batch_on(await positions.grid("btc"), cancel(order))
        (marked,) = (await reserve_on(positions, batch)).to_cancel
        assert marked.cancel_requested
        assert not marked.settled
        await positions.apply(update(order, OrderStatus.CANCELED))
        refusal = await refused(positions, batch_on(await positions.grid("btc"), cancel(order)))
        assert refusal.reason is RefusalReason.ILLEGAL_TRANSITION

    # --- results and events ----------------------------------------------------------------------

    async def test_records_answers_once(self, positions: PositionManager) -> None:
        """What tells nothing new moves no revision."""
        batch = batch_on(await positions.grid("btc"), opening(99), opening(98))
        one, two = (await reserve_on(positions, batch)).to_place
        results = (
            accepted(one, "7"),
            PlacementResult(
                client_oid=two.client_oid,
                status=OrderStatus.REJECTED,
                end_reason=EndReason.POST_ONLY_WOULD_TAKE,
                end_text="would take",
            ),
        )
        assert await positions.record("btc", results) == 3
        assert await positions.record("btc", results) == 3
        book = await positions.grid("btc")
        assert book.slots[Decimal(99)].status is SlotStatus.LOCKED
        assert book.slots[Decimal(98)].status is SlotStatus.FREE
        assert book.slots[Decimal(98)].blocked_until_ns > 0
        ended = (await positions.orders("btc")).items[0]
        assert (ended.end_reason, ended.end_text) == (EndReason.POST_ONLY_WOULD_TAKE, "would take")

    async def test_refuses_answers_about_other_orders(self, positions: PositionManager) -> None:
        """Naming the one that is not known."""
        result = PlacementResult(client_oid="stranger", status=OrderStatus.NEW)
        with pytest.raises(Refusal) as refusal:
            await positions.record("btc", (result,))
        assert refusal.value.reason is RefusalReason.ORDER_UNKNOWN
        assert refusal.value.field == "results[0].client_oid"

    @pytest.mark.invariant(41, 42)
    async def test_applies_updates_once(self, positions: PositionManager) -> None:
        """A fill counts once, before or after the ack."""
        batch = batch_on(await positions.grid("btc"), opening(99))
        (order,) = (await reserve_on(positions, batch)).to_place
        assert (await positions.apply(filled(order, "e1"))).changed
        again = await positions.apply(filled(order, "e1"))
        assert (again.changed, again.revision, again.quarantined) == (False, 3, "")
        assert await positions.record("btc", (accepted(order, "7"),)) == 3
        book = await positions.grid("btc")
        assert book.position == order.quantity
        assert book.totals.fills == 1

    @pytest.mark.invariant(48)
    async def test_leaves_strangers_alone(self, positions: PositionManager) -> None:
        """Manual orders, and orders of other accounts that are called like ours."""
        batch = batch_on(await positions.grid("btc"), opening(99))
        (order,) = (await reserve_on(positions, batch)).to_place
        strange = (
            foreign(),
            replace(filled(order, "e1"), account="other"),
        )
        for event in strange:
            applied = await positions.apply(event)
            assert applied.quarantined
            assert not applied.changed
        assert (await positions.grid("btc")).revision == 2

    async def test_finds_orders_by_the_exchanges_id(self, positions: PositionManager) -> None:
        """For executions that name only that."""
        batch = batch_on(await positions.grid("btc"), opening(99))
        (order,) = (await reserve_on(positions, batch)).to_place
        await positions.record("btc", (accepted(order, "7"),))
        fill = replace(execution(order, "e1", "0.01"), client_oid="", exchange_order_id="7")
        event = update(order, OrderStatus.FILLED, "0.01", fill=fill, exchange_order_id="7")
        applied = await positions.apply(replace(event, client_oid=""))
        assert applied.changed
        (kept,) = (await positions.executions("btc")).items
        assert kept.client_oid == order.client_oid

    # --- what nobody intended --------------------------------------------------------------------

    async def test_adopts_orders_of_a_ledger_that_was_lost(
        self, positions: PositionManager
    ) -> None:
        """What they filled counts, and what rests is bound to the slot that its id names."""
        book = await positions.register_grid(identity("ada"))
        epoch = book.identity.epoch - 1
        resting, done = (lost_order("ada", price, epoch=epoch) for price in (98, 99))
        assert (await positions.apply(update(resting, OrderStatus.NEW))).changed
        for changed in (True, False):
            assert (await positions.apply(filled(done, "e1"))).changed is changed
        book = await positions.grid("ada")
        assert book.position == done.quantity
        bound = book.slots[Decimal(98)].order
        assert bound is not None
        assert (bound.client_oid, bound.status) == (resting.client_oid, OrderStatus.NEW)
        await positions.confirm_grid("ada", epoch=book.identity.epoch)
        batch = batch_on(await positions.grid("ada"), cancel(bound))
        assert (await reserve_on(positions, batch)).to_cancel[0].client_oid == resting.client_oid

    async def test_an_order_that_only_another_ledger_can_have_made_halts(
        self, positions: PositionManager
    ) -> None:
        """Once: whoever resumes the grid has seen it."""
        book = await positions.grid("btc")
        stranger = lost_order("btc", 98, epoch=book.identity.epoch)
        for standing in (Standing.HALTED, Standing.RECONCILING):
            applied = await positions.apply(update(stranger, OrderStatus.NEW))
            assert "has never made" in applied.quarantined
            book = await positions.grid("btc")
            assert book.standing is standing
            await positions.resume_grid("btc", by="ops")
        assert stranger.client_oid not in book.orders
        (item,) = (await positions.quarantine()).items
        assert (item.update.client_oid, item.updates) == (stranger.client_oid, 2)

    async def test_a_contradiction_halts(self, positions: PositionManager) -> None:
        """The exchange's word against ours: nothing changes but the standing."""
        batch = batch_on(await positions.grid("btc"), opening(99))
        (order,) = (await reserve_on(positions, batch)).to_place
        applied = await positions.apply(replace(filled(order, "e1"), quantity=Decimal(5)))
        assert applied.quarantined == "we ordered 0.01, not 5"
        book = await positions.grid("btc")
        assert (book.standing, book.position) == (Standing.HALTED, Decimal(0))
        assert order.client_oid in book.standing_reason

    async def test_takes_over_what_was_closed_by_force(self, positions: PositionManager) -> None:
        """From all grids of the market, the first by name first, each execution once."""
        ada = await positions.register_grid(identity("ada"))
        await positions.confirm_grid("ada", epoch=ada.identity.epoch)
        for bot_id in ("ada", "btc"):
            batch = batch_on(await positions.grid(bot_id), opening(99))
            (order,) = (await reserve_on(positions, batch)).to_place
            await positions.apply(filled(order, f"{bot_id}-1"))
        event = forced("0.015")
        for changed in (True, False):
            assert (await positions.apply(event)).changed is changed
            for bot_id, left in (("ada", "0"), ("btc", "0.005")):
                book = await positions.grid(bot_id)
                assert (book.position, book.standing) == (Decimal(left), Standing.HALTED)
        assert "LIQUIDATION" in book.standing_reason
        assert (await positions.executions("btc")).items[0].execution_id == "forced-1"

    # --- lists -----------------------------------------------------------------------------------

    async def test_lists_page_by_page(self, positions: PositionManager) -> None:
        """Orders and executions, newest first, each once."""
        orders = [await self.trade(positions, 99 - n, f"e{n}") for n in range(5)]
        newest_first = [order.client_oid for order in reversed(orders)]
        page = await positions.orders("btc", page_size=2)
        found = list(page.items)
        while page.next_token:
            page = await positions.orders("btc", page_size=2, page_token=page.next_token)
            found += page.items
        assert [order.client_oid for order in found] == newest_first
        fills = await positions.executions("btc", page_size=3)
        rest = await positions.executions("btc", page_size=3, page_token=fills.next_token)
        assert [e.client_oid for e in (*fills.items, *rest.items)] == newest_first
        assert not rest.next_token
        assert not (await positions.orders("btc", live_only=True)).items

    async def test_refuses_tokens_of_other_lists(self, positions: PositionManager) -> None:
        """And made up ones, and page sizes without measure."""
        for n in range(3):
            await self.trade(positions, 99 - n, f"e{n}")
        token = (await positions.orders("btc", page_size=1)).next_token
        for ask in (
            positions.orders("btc", live_only=True, page_token=token),
            positions.executions("btc", page_token=token),
            positions.orders("btc", page_token="nonsense"),  # noqa: S106 - of a page
            positions.executions("btc", page_token="ÿ\0"),  # noqa: S106 - of a page
        ):
            with pytest.raises(Refusal) as refusal:
                await ask
            assert refusal.value.reason is RefusalReason.PAGE_TOKEN
        for size in (-1, 1001):
            with pytest.raises(Refusal) as refusal:
                await positions.orders("btc", page_size=size)
            assert refusal.value.reason is RefusalReason.VALUE_NOT_ALLOWED

    # --- watching --------------------------------------------------------------------------------

    async def test_watches_a_grid(self, positions: PositionManager) -> None:
        """A snapshot, every change, and checkpoints while nothing happens."""
        await self.trade(positions, 99, "e1")
        async with contextlib.aclosing(aiter(positions.watch("btc"))) as events:  # type: ignore[type-var]
            book = await heard(events, GridBook)
            assert book == await positions.grid("btc")
            assert (await heard(events, Checkpoint)).revision == 3
            await self.trade(positions, 98, "e2")
            for _ in range(2):
                book = apply_change(book, await heard(events, GridChange))
            now = await positions.grid("btc")
            orders = {oid: as_travelled(order) for oid, order in now.orders.items()}
            assert book == replace(now, orders=orders)

    async def test_resumes_a_watch(self, positions: PositionManager) -> None:
        """From the revision that the watcher knows."""
        for n in range(3):
            await self.trade(positions, 99 - n, f"e{n}")
        watch = positions.watch("btc", from_revision=5)
        async with contextlib.aclosing(aiter(watch)) as events:  # type: ignore[type-var]
            assert (await heard(events, GridChange)).revision == 6
            assert (await heard(events, GridChange)).revision == 7
            assert (await heard(events, Checkpoint)).revision == 7

    async def test_a_watcher_of_another_ledger_starts_again(
        self, positions: PositionManager
    ) -> None:
        """It is told that its revision is not kept."""
        with pytest.raises(Refusal) as refusal:
            await anext(aiter(positions.watch("btc", from_revision=99)))
        assert refusal.value.reason is RefusalReason.REVISION_COMPACTED
