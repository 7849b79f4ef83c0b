"""Connections: a pool of them, and what their failures mean."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, Self

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from opensqt.ports import DependencyError
from opensqt.runtime.config_models import PostgresConfig

_RECONNECT_S: Final = 2.0
"""How long the pool tries by itself to replace a lost connection; asking it begins anew."""


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Around work with the database: that it does not answer comes out as `DependencyError`.

    What the database objects to (a broken constraint, wrong SQL) stays what it is.
    """
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        text = " ".join(str(error).split())[:200]
        raise DependencyError(f"PostgreSQL: {type(error).__name__}: {text}") from error


class Database:
    """A pool of connections, each in autocommit mode with its statements prepared.

    Used as a context manager. It opens at once and connects in the background, so a server that is
    not there yet is a `DependencyError` of whatever is asked first.

    Args:
        config: Where the server is.
        name: What the server's list of sessions calls us.
    """

    def __init__(self, config: PostgresConfig, *, name: str) -> None:
        self._options = connection_options(config, name=name)
        self._pool: AsyncConnectionPool[AsyncConnection] = AsyncConnectionPool(
            config.dsn.get_secret_value(),
            kwargs=self._options,
            min_size=min(2, config.pool_size),
            max_size=config.pool_size,
            timeout=config.connect_timeout_s,
            reconnect_timeout=_RECONNECT_S,
            name=name,
            open=False,
        )
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the pool."""
        await self._pool.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the connections."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncConnection]:
        """A connection, for as long as the context is open.

        Raises:
            DependencyError: None can be had, or it was lost meanwhile.
        """
        try:
            with database_errors():
                async with self._pool.connection() as connection:
                    yield connection
        except DependencyError:
            self._check()
            raise

    def _check(self) -> None:
        """Throw out the other connections that the same failure has cut, before they are used."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._pool.check(), name="postgres-pool-check")


def connection_options(config: PostgresConfig, *, name: str) -> dict[str, object]:
    """How each of our connections is made."""
    return {
        "autocommit": True,
        "prepare_threshold": 0,
        "application_name": f"opensqt-{name}",
        "connect_timeout": config.connect_timeout_s,
        "options": f"-c statement_timeout={config.statement_timeout_ms}",
        # A server that vanished without a word is noticed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
