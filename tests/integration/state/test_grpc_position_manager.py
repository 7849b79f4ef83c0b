"""The state service over gRPC keeps the contract of every position manager."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.core.actions import ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity, Standing
from opensqt.core.grid.results import Applied, PlacementResult, Reservation
from opensqt.ports import DependencyError, PositionManager
from opensqt.testing.contracts.position_manager import PositionManagerContract, heard
from opensqt.testing.contracts.state_store import place, register
from opensqt.testing.grids import DEADLINE_NS, batch_on, filled, foreign, identity, opening
from opensqt.testing.loopback import Loopback, Serving
from opensqt.testing.memory_store import MemoryStore

pytestmark = pytest.mark.integration


READING = {"grid", "grids", "orders", "executions", "watch", "quarantine"}


class ByRole(GrpcPositionManager):
    """Calls each method as the service whose work it is."""

    def __init__(self, service: Loopback) -> None:
        super().__init__(service.channel("cli"))
        self._strategy = GrpcPositionManager(service.channel("strategy"))
        self._execution = GrpcPositionManager(service.channel("execution"))
        self._market_data = GrpcPositionManager(service.channel("market_data"))

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        return await self._strategy.register_grid(identity)

    async def reserve(self, batch: ActionBatch, *, deadline_ns: int) -> Reservation:
        return await self._execution.reserve(batch, deadline_ns=deadline_ns)

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        return await self._execution.record(bot_id, results)

    async def apply(self, update: OrderUpdate) -> Applied:
        return await self._market_data.apply(update)

    async def confirm_grid(self, bot_id: str, *, epoch: int) -> int:
        return await self._market_data.confirm_grid(bot_id, epoch=epoch)


class TestGrpcPositionManager(PositionManagerContract):
    @pytest.fixture(autouse=True)
    def _serving(self, serving: Serving) -> None:
        self.serving = serving

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[PositionManager]:
        async with self.serving(MemoryStore()) as service:
            yield ByRole(service)


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("strategy", READING | {"register_grid"}),
        ("execution", READING | {"reserve", "record", "apply"}),
        ("market_data", READING | {"apply", "confirm_grid"}),
        ("risk", READING | {"halt_grid", "resume_grid"}),
        ("cli", READING | {"halt_grid", "resume_grid"}),
        ("paper_exchange", set()),
    ],
)
async def test_each_identity_may_do_its_own_work_only(
    service: Loopback, store: MemoryStore, who: str, allowed: set[str]
) -> None:
    book, _ = await store.register(identity(), now_ns=1)
    positions = GrpcPositionManager(service.channel(who))
    asks: dict[str, Any] = {
        "register_grid": lambda: positions.register_grid(identity()),
        "reserve": lambda: positions.reserve(batch_on(book, opening(99)), deadline_ns=DEADLINE_NS),
        "record": lambda: positions.record("btc", ()),
        "apply": lambda: positions.apply(foreign()),
        "grid": lambda: positions.grid("btc"),
        "grids": positions.grids,
        "orders": lambda: positions.orders("btc"),
        "executions": lambda: positions.executions("btc"),
        "watch": lambda: anext(aiter(positions.watch("btc"))),
        "confirm_grid": lambda: positions.confirm_grid("btc", epoch=book.identity.epoch),
        "halt_grid": lambda: positions.halt_grid("btc", reason="why", by="me"),
        "resume_grid": lambda: positions.resume_grid("btc", by="me"),
        "quarantine": positions.quarantine,
    }
    for name, ask in asks.items():
        refused = None
        try:
            await ask()
        except Refusal as refusal:
            refused = refusal.reason
        denied = refused is RefusalReason.IDENTITY_NOT_ALLOWED
        assert denied is (name not in allowed), name


async def test_a_store_that_does_not_answer_is_a_dependency(
    service: Loopback, store: MemoryStore
) -> None:
    await store.register(identity(), now_ns=1)
    positions = GrpcPositionManager(service.channel("execution"))
    store.answers = False
    with pytest.raises(DependencyError):
        await positions.grid("btc")
    asked = asyncio.create_task(positions.grid("btc"))
    await asyncio.sleep(0.01)
    store.answers = True
    assert (await asked).revision == 0  # asked again meanwhile


@pytest.mark.invariant(28)
async def test_a_lost_answer_to_a_reservation_is_the_callers_to_resolve(
    service: Loopback, store: MemoryStore
) -> None:
    book = await register(store)
    positions = GrpcPositionManager(service.channel("execution"))
    store.lose_answers = 1
    batch = batch_on(book, opening(99))
    with pytest.raises(DependencyError):
        await positions.reserve(batch, deadline_ns=DEADLINE_NS)
    again = await positions.reserve(batch, deadline_ns=DEADLINE_NS)
    assert again.repeated
    (order,) = again.to_place
    assert (await positions.apply(filled(order, "e1"))).changed


async def test_a_halt_says_who_did_it_by_certificate(service: Loopback, store: MemoryStore) -> None:
    await register(store)
    positions = GrpcPositionManager(service.channel("cli"))
    await positions.halt_grid("btc", reason="a bad feeling", by="somebody else")
    book = await positions.grid("btc")
    assert book.standing is Standing.HALTED
    assert "a bad feeling" in book.standing_reason
    assert "cli" in book.standing_reason
    assert "somebody else" not in book.standing_reason


@pytest.mark.invariant(17)
async def test_resuming_is_never_repeated(service: Loopback, store: MemoryStore) -> None:
    """Its answer is lost; meanwhile the grid is halted anew, for a reason that nobody has seen."""
    await store.register(identity(), now_ns=1)
    positions = GrpcPositionManager(service.channel("cli"))
    await positions.halt_grid("btc", reason="one", by="")
    store.lose_answers = 1
    with pytest.raises(DependencyError):
        await positions.resume_grid("btc", by="")
    assert (await positions.grid("btc")).standing is Standing.RECONCILING
    revision = await positions.halt_grid("btc", reason="two", by="")
    assert (await positions.grid("btc")).revision == revision


async def test_what_is_put_aside_is_paged(service: Loopback) -> None:
    positions = GrpcPositionManager(service.channel("market_data"))
    for number in range(5):
        for _ in range(number + 1):
            await positions.apply(foreign(str(number)))
    first = await positions.quarantine(page_size=3)
    rest = await positions.quarantine(page_size=3, page_token=first.next_token)
    heard = [
        (order.update.exchange_order_id, order.updates) for order in (*first.items, *rest.items)
    ]
    assert heard == [("4", 5), ("3", 4), ("2", 3), ("1", 2), ("0", 1)]
    assert not rest.next_token
    assert all(order.update == foreign(order.update.exchange_order_id) for order in first.items)


async def test_a_big_grid_fits_into_a_snapshot(service: Loopback, store: MemoryStore) -> None:
    """A ledger whose grid nobody can read would never trade again."""
    await register(store)
    levels = 20_000
    for first in range(0, levels, 1000):
        await place(store, *(opening(1_000_000 + n) for n in range(first, first + 1000)))
    positions = GrpcPositionManager(service.channel("strategy"), timeout_s=30)
    assert len((await positions.grid("btc")).slots) == levels
    assert len((await heard(positions.watch("btc"), GridBook)).slots) == levels


async def test_a_watch_ends_with_its_service(serving: Serving, store: MemoryStore) -> None:
    await store.register(identity(), now_ns=1)
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(store))
        positions = GrpcPositionManager(service.channel("strategy"))
        events = positions.watch("btc")
        await heard(events, GridBook)
        closing = asyncio.create_task(stack.aclose())
        with pytest.raises(DependencyError):
            await asyncio.wait_for(heard(events, GridChange), 5)
        await closing


async def test_nobody_there_is_a_dependency(serving: Serving, store: MemoryStore) -> None:
    async with serving(store) as service:
        channel = service.channel("cli")
        positions = GrpcPositionManager(channel, timeout_s=0.5)
        await positions.grids()
        await service.server.__aexit__(None, None, None)
        with pytest.raises(DependencyError):
            await positions.grids()
