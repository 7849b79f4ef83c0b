"""The state service around its ledger: order updates in, changes out, whatever fails meanwhile."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

import pytest

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.grid.results import Applied
from opensqt.core.orders import Order
from opensqt.ports import GRID_CHANGES, ORDER_UPDATES, Checkpoint, WatchEvent
from opensqt.runtime.metrics import Metrics
from opensqt.testing.grids import DEADLINE_NS, batch_on, filled, foreign, identity, opening
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.virtual_time import VirtualClock, run_virtually
from services.state.app import StateApp
from services.state.outbox import COMPACT_INTERVAL_S, message_id


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time."""

    @wraps(test)
    def run() -> None:
        run_virtually(test())

    return run


class World:
    """What outlives the service."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.bus = MemoryBus()

    @asynccontextmanager
    async def service(self, **options: Any) -> AsyncIterator[StateApp]:
        app = StateApp(
            store=self.store, bus=self.bus, clock=VirtualClock(), metrics=Metrics(), **options
        )
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(stop))
        await asyncio.sleep(0.1)
        yield app
        stop.set()
        await running

    async def tell(self, event: OrderUpdate, message_id: str = "") -> None:
        await self.bus.publish(ORDER_UPDATES, event.account, event, message_id=message_id)


async def register(app: StateApp) -> None:
    book = await app.ledger.register_grid(identity())
    await app.ledger.confirm_grid("btc", epoch=book.identity.epoch)


async def place(app: StateApp, price: int) -> Order:
    batch = batch_on(await app.ledger.grid("btc"), opening(price))
    return (await app.ledger.reserve(batch, deadline_ns=DEADLINE_NS)).to_place[0]


@virtually
async def test_applies_what_the_bus_brings() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        order = await place(app, 99)
        await world.tell(filled(order, "e1"))
        await asyncio.sleep(1)
        assert (await app.ledger.grid("btc")).position == order.quantity


@virtually
async def test_hears_what_was_told_while_it_was_away() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        order = await place(app, 99)
    await world.tell(filled(order, "e1"))
    async with world.service() as app:
        await asyncio.sleep(1)
        assert (await app.ledger.grid("btc")).position == order.quantity


@pytest.mark.invariant(22)
@virtually
async def test_a_crash_between_commit_and_ack_counts_nothing_twice() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        order = await place(app, 99)
        world.store.lose_answers = 3
        await world.tell(filled(order, "e1"))
        await asyncio.sleep(30)
        book = await app.ledger.grid("btc")
        assert (book.position, book.totals.fills) == (order.quantity, 1)


@virtually
async def test_waits_for_a_store_that_does_not_answer() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        orders = [await place(app, 99 - n) for n in range(3)]
        world.store.answers = False
        for n, order in enumerate(orders):
            await world.tell(filled(order, f"e{n}"))
        await asyncio.sleep(60)
        world.store.answers = True
        await asyncio.sleep(5)
        book = await app.ledger.grid("btc")
        assert (book.totals.fills, book.live_orders()) == (3, ())


@virtually
async def test_what_cannot_be_applied_blocks_nothing() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        order = await place(app, 99)
        sane = app.ledger.apply

        async def stumble(update: OrderUpdate) -> Applied:
            if update.exchange_order_id == "poison":
                raise ZeroDivisionError
            return await sane(update)

        app.ledger.apply = stumble  # type: ignore[method-assign]
        await world.tell(foreign("poison"))
        await world.tell(foreign("123"))
        await world.tell(replace(filled(order, "e1"), account="other"))
        await world.tell(filled(order, "e1"))
        await asyncio.sleep(20)
        assert (await app.ledger.grid("btc")).position == order.quantity
        assert {key[2] for key in world.store.put_aside} == {"poison", "123", "4711"}


@virtually
async def test_publishes_every_change_once_and_in_order() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        for n in range(5):
            await place(app, 99 - n)
        await asyncio.sleep(1)
        assert [change.revision for change in world.bus.of(GRID_CHANGES)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.invariant(21)
@virtually
async def test_publishes_what_was_committed_before_a_crash() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        await place(app, 99)  # and away it goes, before the outbox is read
    async with world.service():
        await asyncio.sleep(2)
    assert [change.revision for change in world.bus.of(GRID_CHANGES)] == [1, 2]
    async with world.service():
        await asyncio.sleep(2)
    assert len(world.bus.of(GRID_CHANGES)) == 2


@virtually
async def test_a_new_ledger_s_changes_are_not_taken_for_those_of_a_lost_one() -> None:
    """Although its revisions begin again, and the bus drops what it was given before."""
    world = World()
    async with world.service() as app:
        await register(app)
        await asyncio.sleep(1)
    world.store = MemoryStore()
    async with world.service() as app:
        await register(app)
        await asyncio.sleep(1)
    told = world.bus.of(GRID_CHANGES)
    assert [change.revision for change in told] == [1, 1]
    assert len({message_id(change) for change in told}) == 2


@virtually
async def test_forgets_the_oldest_changes() -> None:
    world = World()
    async with world.service(keep_revisions=3) as app:
        await register(app)
        for n in range(10):
            await place(app, 99 - n)
        await asyncio.sleep(COMPACT_INTERVAL_S + 1)
        kept = await world.store.changes_after("btc", 8, 100)
        assert [change.revision for change in kept] == [9, 10, 11]


@virtually
async def test_a_slow_watcher_misses_nothing() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        events = app.ledger.watch("btc")
        assert isinstance(await anext(events), GridBook)
        for n in range(50):
            await place(app, 99 - n)
        seen: list[WatchEvent] = []
        while not (seen and isinstance(seen[-1], Checkpoint)):
            seen.append(await anext(events))
            await asyncio.sleep(1)
        changes = [event.revision for event in seen if isinstance(event, GridChange)]
        assert changes == list(range(2, 52))
        await events.aclose()


@virtually
async def test_checkpoints_come_every_second() -> None:
    world = World()
    async with world.service() as app:
        await register(app)
        events = app.ledger.watch("btc")
        await anext(events)
        times = []
        for _ in range(4):
            assert await anext(events) == Checkpoint(revision=1)
            times.append(asyncio.get_running_loop().time())
        assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([1, 1, 1])
        await events.aclose()
