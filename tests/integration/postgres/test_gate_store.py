"""The gate's history on PostgreSQL keeps the store's contract; two processes may write it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from opensqt.adapters.postgres.gate_store import PostgresGateStore
from opensqt.adapters.postgres.migrate import GATE, migrate
from opensqt.adapters.postgres.pool import Database
from opensqt.core.risk.gate_log import tripped
from opensqt.ports import DependencyError
from opensqt.runtime.config_models import PostgresConfig
from opensqt.testing.contracts.gate_store import (
    ACCOUNT,
    NOW_NS,
    GateStoreContract,
    three_changes,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def config(database: str) -> PostgresConfig:
    return PostgresConfig.model_validate({"dsn": database, "connect_timeout_s": 10})


@pytest.fixture
async def store(config: PostgresConfig) -> AsyncIterator[PostgresGateStore]:
    await migrate(config, GATE)
    async with Database(config, name="test") as connections:
        yield PostgresGateStore(connections)


class TestPostgresGateStore(GateStoreContract):
    @pytest.fixture
    def store(self, store: PostgresGateStore) -> PostgresGateStore:
        return store


async def test_of_two_processes_one_is_next(store: PostgresGateStore) -> None:
    first, *_ = three_changes()
    assert await store.append(ACCOUNT, first)
    rivals = [
        tripped(first.gate, request_id=f"r{n}", reason=f"{n}", by="cli", now_ns=NOW_NS)
        for n in range(8)
    ]
    taken = await asyncio.gather(*(store.append(ACCOUNT, change) for change in rivals))
    assert sum(taken) == 1
    assert await store.history(ACCOUNT, 10) == (first, rivals[taken.index(True)])


async def test_the_history_outlives_the_process_and_its_migration(
    config: PostgresConfig, store: PostgresGateStore
) -> None:
    changes = three_changes()
    for change in changes:
        await store.append(ACCOUNT, change)
    await asyncio.gather(migrate(config, GATE), migrate(config, GATE))
    async with Database(config, name="again") as connections:
        assert await PostgresGateStore(connections).history(ACCOUNT, 10) == changes


async def test_a_server_that_is_not_there_is_a_dependency() -> None:
    nowhere = PostgresConfig.model_validate(
        {"dsn": "postgresql://x:y@127.0.0.1:1/x", "connect_timeout_s": 1}
    )
    async with Database(nowhere, name="test") as connections:
        store = PostgresGateStore(connections)
        for call in (store.ping(), store.history(ACCOUNT, 1)):
            with pytest.raises(DependencyError):
                await call


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    options = Config()
    options.set_main_option("script_location", str(GATE.versions.parent.parent / "migrations"))
    options.set_main_option("version_locations", str(GATE.versions))
    options.set_main_option("path_separator", "newline")
    assert ScriptDirectory.from_config(options).get_current_head() == GATE.head
