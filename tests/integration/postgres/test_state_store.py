"""The PostgreSQL store keeps the contract of every state store; replicas share a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opensqt.adapters.postgres.migrate import migrate
from opensqt.adapters.postgres.state_store import PostgresStateStore
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import Standing
from opensqt.core.orders import OrderStatus
from opensqt.ports import StateStore
from opensqt.runtime.config_models import PostgresConfig
from opensqt.testing.contracts.state_store import (
    SIGNAL_TIMEOUT_S,
    StateStoreContract,
    apply,
    place,
    register,
    reserve,
    stand,
)
from opensqt.testing.grids import NOW_NS, batch_on, execution, filled, opening, update

pytestmark = pytest.mark.integration


@pytest.fixture
def config(database: str) -> PostgresConfig:
    return PostgresConfig.model_validate({"dsn": database, "connect_timeout_s": 10})


class TestPostgresStateStore(StateStoreContract):
    @pytest.fixture(autouse=True)
    def _database(self, config: PostgresConfig) -> None:
        self.config = config

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StateStore]:
        await migrate(self.config)
        async with PostgresStateStore.open(self.config) as store:
            yield store

    def forgetful(self, store: StateStore) -> StateStore:
        assert isinstance(store, PostgresStateStore)
        store._books.clear()
        return store


class TestWithoutMemory(TestPostgresStateStore):
    """Decides every change on the stored book, as a replica does that was just started."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StateStore]:
        async with super().opened() as store:
            assert isinstance(store, PostgresStateStore)
            decided = store.transact

            async def transact(*args: object) -> object:
                store._books.clear()
                return await decided(*args)  # type: ignore[arg-type]

            store.transact = transact  # type: ignore[method-assign, assignment]
            yield store


@pytest.fixture
async def replicas(config: PostgresConfig) -> AsyncIterator[tuple[StateStore, StateStore]]:
    await asyncio.gather(migrate(config), migrate(config))
    async with PostgresStateStore.open(config) as one, PostgresStateStore.open(config) as other:
        await register(one)
        yield one, other


async def test_replicas_take_turns_on_one_grid(replicas: tuple[StateStore, StateStore]) -> None:
    one, other = replicas
    orders = await place(one, *(opening(99 - n) for n in range(10)))
    await asyncio.gather(
        *(apply(replicas[i % 2], filled(order, f"e{i}")) for i, order in enumerate(orders))
    )
    book = await one.load("btc")
    assert book == await other.load("btc")
    assert book.revision == 2 + len(orders)
    assert book.totals.fills == len(orders)


async def test_a_replica_counts_no_execution_twice(
    replicas: tuple[StateStore, StateStore],
) -> None:
    one, other = replicas
    (order,) = await place(one, opening(99))
    fill = execution(order, "e1", "0.004")
    event = update(order, OrderStatus.PARTIALLY_FILLED, "0.004", fill=fill)
    await other.load("btc")
    await apply(other, update(order, OrderStatus.NEW))
    results = await asyncio.gather(apply(one, event), apply(other, event))
    assert sorted(result.value.changed for result in results) == [False, True]
    assert (await one.load("btc")).totals.fills == 1


async def test_a_batch_is_known_on_every_replica(replicas: tuple[StateStore, StateStore]) -> None:
    one, other = replicas
    batch = batch_on(await one.load("btc"), opening(99))
    results = await asyncio.gather(reserve(one, batch), reserve(other, batch))
    assert sorted(result.value.repeated for result in results) == [False, True]
    assert results[0].value.to_place == results[1].value.to_place


def forget_what_ended(store: StateStore) -> None:
    """As after hundreds of other orders."""
    assert isinstance(store, PostgresStateStore)
    store._books["btc"]._ended.clear()


async def test_an_order_that_ended_long_ago_is_looked_up_alone(
    replicas: tuple[StateStore, StateStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the whole book for each would make a long comparison a slow one."""
    one, _ = replicas
    (order,) = await place(one, opening(99))
    await apply(one, update(order, OrderStatus.CANCELED, "0.004"))
    forget_what_ended(one)

    async def read_book(*_: object) -> None:
        raise AssertionError("read the whole book")

    with monkeypatch.context() as patch:
        patch.setattr("opensqt.adapters.postgres.state_store.read_book", read_book)
        late = await apply(one, filled(order, "e1"))
        assert late.value.changed
        forget_what_ended(one)
        assert not (await apply(one, filled(order, "e1"))).value.changed
    assert (await one.load("btc")).position == order.quantity


@pytest.mark.invariant(42)
async def test_of_an_ended_order_the_newest_counts(
    replicas: tuple[StateStore, StateStore],
) -> None:
    """One replica has forgotten it, and is behind; the order that it looks up is ahead."""
    one, other = replicas
    (order,) = await place(one, opening(99))
    await apply(one, update(order, OrderStatus.CANCELED))
    forget_what_ended(one)
    await apply(other, filled(order, "e1"))
    assert not (await apply(one, filled(order, "e1"))).value.changed
    book = await one.load("btc")
    assert (book.position, book.totals.fills) == (order.quantity, 1)
    assert book == await other.load("btc")


@pytest.mark.invariant(17)
async def test_a_halt_holds_on_every_replica(replicas: tuple[StateStore, StateStore]) -> None:
    one, other = replicas
    await place(other, opening(99))  # it remembers the book as trading
    await stand(one, lambda slots: slots.halt("liquidated", now_ns=NOW_NS))
    with pytest.raises(Refusal) as refused:
        await place(other, opening(98))
    assert refused.value.reason is RefusalReason.BOT_NOT_TRADING
    book = await other.load("btc")
    assert (book.standing, book.standing_reason) == (Standing.HALTED, "liquidated")
    (listed,) = await other.identities()
    assert (listed.standing, listed.standing_reason) == (Standing.HALTED, "liquidated")
    changes = await other.changes_after("btc", book.revision - 1, 9)
    assert [change.standing for change in changes] == [Standing.HALTED]


async def test_hears_of_the_other_replicas_commits(replicas: tuple[StateStore, StateStore]) -> None:
    one, other = replicas
    async with other.committed() as changed:
        await asyncio.sleep(0.5)  # LISTEN is under way
        await place(one, opening(99))
        async with asyncio.timeout(SIGNAL_TIMEOUT_S):
            assert await anext(changed) == "btc"
    assert [c.revision for c in await other.changes_after("btc", 1, 9)] == [2]


async def test_a_cancelled_change_leaves_no_wrong_memory(
    replicas: tuple[StateStore, StateStore],
) -> None:
    one, _ = replicas
    await place(one, opening(99))
    for n in range(20):
        batch = batch_on(await one.load("btc"), opening(98 - n))
        change = asyncio.create_task(reserve(one, batch))
        await asyncio.sleep(n * 0.0002)
        change.cancel()
        await asyncio.gather(change, return_exceptions=True)
        await reserve(one, batch)  # whether it was committed or not
        book = await one.load("btc")
        assert book.revision == n + 3
        assert len(book.live_orders()) == n + 2
