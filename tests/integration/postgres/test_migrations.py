"""Migrations: up, down, and from what an earlier version has left."""

import asyncio
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from opensqt.adapters.postgres.migrate import GATE, LEDGER, Migrations, migrate
from opensqt.adapters.postgres.state_store import PostgresStateStore
from opensqt.core.grid.book import Standing
from opensqt.core.orders import OrderStatus
from opensqt.runtime.config_models import PostgresConfig
from opensqt.testing.contracts.state_store import apply, place, register, stand
from opensqt.testing.grids import NOW_NS, filled, foreign, identity, opening, update
from opensqt.wire.events import encode_order_update
from opensqt.wire.state import encode_change

pytestmark = pytest.mark.integration

QUARANTINED = """
INSERT INTO state.quarantine
VALUES ('main', 'BTCUSDT', %(id)s, %(client_oid)s, 'not an order of any grid', 7, %(payload)s)
"""


@pytest.fixture
def config(database: str) -> PostgresConfig:
    return PostgresConfig.model_validate({"dsn": database, "connect_timeout_s": 10})


@pytest.mark.parametrize("migrations", [LEDGER, GATE], ids=["ledger", "gate"])
def test_the_head_is_the_newest_migration(migrations: Migrations) -> None:
    options = Config()
    options.set_main_option("script_location", str(migrations.versions.parent))
    options.set_main_option("version_locations", str(migrations.versions))
    options.set_main_option("path_separator", "newline")
    assert ScriptDirectory.from_config(options).get_heads() == [migrations.head]


async def test_migrates_up_and_down(config: PostgresConfig) -> None:
    await asyncio.gather(*(migrate(config, m) for m in (LEDGER, GATE, LEDGER, GATE)))
    await asyncio.to_thread(down, config, "base")
    await migrate(config)
    async with PostgresStateStore.open(config) as store:
        assert await store.identities() == ()


async def test_a_ledger_of_the_first_version_trades_on(config: PostgresConfig) -> None:
    """Its grids trade, its changes are told, what it put aside is listed, its orders go on."""
    await migrate(config)
    async with PostgresStateStore.open(config) as store:
        await register(store)
        (order,) = await place(store, opening(99))
        await apply(store, update(order, OrderStatus.NEW))
        before = await store.load("btc")
        changes = await store.changes_after("btc", 0, 9)
    await asyncio.to_thread(down, config, "0001")
    # As the first version wrote them: it knew of no standing.
    payloads = [encode_change(change) for change in changes]
    async with await psycopg.AsyncConnection.connect(
        config.dsn.get_secret_value(), autocommit=True
    ) as session:
        for payload in payloads:
            payload.ClearField("standing")
            await session.execute(
                "UPDATE state.changes SET payload = %s WHERE revision = %s",
                (payload.SerializeToString(), payload.revision),
            )
        await session.execute(
            QUARANTINED,
            {
                "id": foreign().exchange_order_id,
                "client_oid": foreign().client_oid,
                "payload": encode_order_update(foreign()).SerializeToString(),
            },
        )
    await migrate(config)
    async with PostgresStateStore.open(config) as store:
        assert await store.load("btc") == before
        assert before.standing is Standing.TRADING
        assert await store.changes_after("btc", 0, 9) == changes
        ((_, put_aside),) = await store.quarantined(limit=9, before=0)
        assert (put_aside.update, put_aside.since_ns, put_aside.updates) == (foreign(), 7, 1)
        await store.quarantine(foreign(), "still not ours", now_ns=NOW_NS)
        ((_, put_aside),) = await store.quarantined(limit=9, before=0)
        assert (put_aside.reason, put_aside.since_ns, put_aside.updates) == ("still not ours", 7, 2)
        assert (await apply(store, filled(order, "e1"))).value.changed
        # What is registered from here on waits to be compared.
        book, _ = await store.register(identity("eth"), now_ns=NOW_NS)
        assert book.standing is Standing.RECONCILING


async def test_a_second_version_forgets_halts_only(config: PostgresConfig) -> None:
    """Going back loses why a grid was halted, and nothing else."""
    await migrate(config)
    async with PostgresStateStore.open(config) as store:
        await register(store)
        await place(store, opening(99))
        await stand(store, lambda slots: slots.halt("liquidated", now_ns=NOW_NS))
        before = await store.load("btc")
    await asyncio.to_thread(down, config, "0001")
    await migrate(config)
    async with PostgresStateStore.open(config) as store:
        after = await store.load("btc")
    assert (after.orders, after.slots, after.revision) == (
        before.orders,
        before.slots,
        before.revision,
    )
    assert after.standing is Standing.TRADING


def down(config: PostgresConfig, version: str) -> None:
    from alembic import command
    from sqlalchemy import create_engine

    url = config.dsn.get_secret_value().replace("postgresql://", "postgresql+psycopg://")
    options: Any = Config()
    options.set_main_option("script_location", str(LEDGER.versions.parent))
    options.attributes["schema"] = LEDGER.schema
    with create_engine(url).begin() as connection:
        options.attributes["connection"] = connection
        command.downgrade(options, version)
