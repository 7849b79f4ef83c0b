"""Brings tables up to date, once, whoever comes first.

Each service that keeps something runs its own migrations at its start. Replicas that start together
take turns by an advisory lock; a database that is up to date costs one look.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import structlog

from opensqt.adapters.postgres.pool import database_errors
from opensqt.runtime.config_models import PostgresConfig

_log = structlog.get_logger(__name__)

_HERE: Final = Path(__file__).parent

_LOCK: Final = 0x6F70656E_73717431
"""An advisory lock of ours: any number that nobody else takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrations:
    """The history of one schema."""

    schema: str
    directory: str
    """Beside this file; its ``versions`` has the migrations."""
    head: str
    """The newest migration; a test compares it with the directory."""

    @property
    def versions(self) -> Path:
        """Where the migrations are."""
        return _HERE / self.directory / "versions"


LEDGER: Final = Migrations(schema="state", directory="migrations", head="0002")
"""The state service's tables."""

GATE: Final = Migrations(schema="risk", directory="gate_migrations", head="0001")
"""The risk service's tables."""


async def migrate(config: PostgresConfig, migrations: Migrations = LEDGER) -> None:
    """Create or change the tables to what this version needs.

    Raises:
        DependencyError: The server does not answer.
    """
    with database_errors():
        if await _version(config, migrations) == migrations.head:
            return
    # alembic is synchronous, and imported only when there is something to do.
    await asyncio.to_thread(_upgrade, config, migrations)


async def _version(config: PostgresConfig, migrations: Migrations) -> str | None:
    table = f"{migrations.schema}.alembic_version"
    connection = await psycopg.AsyncConnection.connect(
        config.dsn.get_secret_value(), connect_timeout=config.connect_timeout_s, autocommit=True
    )
    async with connection:
        found = await connection.execute("SELECT to_regclass(%s)", (table,))
        row = await found.fetchone()
        if row is None or row[0] is None:
            return None
        found = await connection.execute(f"SELECT version_num FROM {table}")  # noqa: S608
        row = await found.fetchone()
        return None if row is None else str(row[0])


def _upgrade(config: PostgresConfig, migrations: Migrations) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine, text

    def connect() -> psycopg.Connection:
        return psycopg.connect(
            config.dsn.get_secret_value(), connect_timeout=config.connect_timeout_s
        )

    logging.getLogger("alembic").setLevel(logging.WARNING)  # one line of ours says it all
    options = Config()
    options.set_main_option("script_location", _escaped(_HERE / "migrations"))
    options.set_main_option("version_locations", _escaped(migrations.versions))
    options.set_main_option("path_separator", "newline")
    options.attributes["schema"] = migrations.schema
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with database_errors(), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        options.attributes["connection"] = connection
        command.upgrade(options, migrations.head)
    _log.info("migrated", schema=migrations.schema, version=migrations.head)


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
