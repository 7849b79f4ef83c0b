"""The store while its PostgreSQL is killed and comes back."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from opensqt.adapters.postgres.migrate import migrate
from opensqt.adapters.postgres.state_store import PostgresStateStore
from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.postgres_server import PostgresServer
from opensqt.ports import DependencyError
from opensqt.runtime.config_models import PostgresConfig
from opensqt.testing.contracts.state_store import place, register, reserve
from opensqt.testing.grids import batch_on, opening
from opensqt.testing.servers import running

pytestmark = pytest.mark.integration

BACK_WITHIN_S = 10


class Restartable:
    """A PostgreSQL that can be killed."""

    def __init__(self, directory: Path) -> None:
        (port,) = free_ports(1)
        self.server = PostgresServer.create(directory / "postgres", port=port, durable=False)
        self._log = directory
        self._stack = ExitStack()

    async def start(self) -> None:
        program = running(self.server.program(), self._log)
        self._process = await asyncio.to_thread(self._stack.enter_context, program)

    async def stop(self) -> None:
        await asyncio.to_thread(self._stack.close)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Restartable]:
    made = Restartable(tmp_path)
    yield made
    shutil.rmtree(made.server.directory, ignore_errors=True)


@pytest.fixture
async def config(postgres: Restartable) -> AsyncIterator[PostgresConfig]:
    await postgres.start()
    yield PostgresConfig.model_validate({"dsn": postgres.server.dsn(), "connect_timeout_s": 2})
    await postgres.stop()


@pytest.mark.invariant(27)
async def test_goes_on_after_a_restart(postgres: Restartable, config: PostgresConfig) -> None:
    await migrate(config)
    async with PostgresStateStore.open(config) as store, store.committed() as changed:
        await register(store)
        await place(store, opening(99))
        batch = batch_on(await store.load("btc"), opening(98))
        await postgres.stop()
        for ask in (store.ping(), store.load("btc"), reserve(store, batch)):
            with pytest.raises(DependencyError):
                await ask
        await postgres.start()
        async with asyncio.timeout(BACK_WITHIN_S):
            while True:
                try:
                    outcome = await reserve(store, batch)
                except DependencyError:
                    await asyncio.sleep(0.1)
                else:
                    break
        assert outcome.book.revision == 3
        await place(store, opening(97))
        async with asyncio.timeout(BACK_WITHIN_S):
            assert await anext(changed) == "btc"
            async with PostgresStateStore.open(config) as replica:
                while True:  # until its own listener is connected again
                    await place(replica, opening((await replica.load("btc")).revision * -1 + 96))
                    try:
                        async with asyncio.timeout(0.5):
                            assert await anext(changed) == "btc"
                    except TimeoutError:
                        continue
                    break


async def test_a_server_that_is_not_there_is_a_dependency() -> None:
    (port,) = free_ports(1)
    config = PostgresConfig.model_validate(
        {"dsn": f"postgresql://nobody:pass@127.0.0.1:{port}/x", "connect_timeout_s": 1}
    )
    with pytest.raises(DependencyError) as failed:
        await migrate(config)
    assert "pass" not in str(failed.value)
    async with PostgresStateStore.open(config) as store:
        with pytest.raises(DependencyError):
            await store.ping()
