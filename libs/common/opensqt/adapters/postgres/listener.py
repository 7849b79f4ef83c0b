"""Commits across replicas: hears of those of others, and tells them of ours.

What this process commits, it tells itself at once.
"""

import asyncio
from typing import Final

import psycopg
import structlog
from psycopg import AsyncConnection, sql

from opensqt.adapters.postgres.pool import Database, connection_options
from opensqt.adapters.postgres.statements import BOTS, CHANNEL, NOTIFY, notice
from opensqt.adapters.signals import Signals
from opensqt.ports import DependencyError
from opensqt.runtime.config_models import PostgresConfig

_log = structlog.get_logger(__name__)

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0
GATHER_S: Final = 0.005
"""Commits of this time are told together."""


class CommitListener:
    """Sends the names of bots that other replicas changed.

    Args:
        config: Where the server is.
        origin: How our own commits are told from those of others.
        signals: Where the names are sent.
    """

    def __init__(self, config: PostgresConfig, *, origin: str, signals: Signals) -> None:
        self._config = config
        self._origin = origin
        self._signals = signals

    async def run(self) -> None:
        """Listen for ever, and connect again whenever the connection is lost."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                async with await self._connect() as connection:
                    wait_s = RETRY_FIRST_S
                    await self._listen(connection)
            except psycopg.Error as error:
                _log.warning("commits_not_heard", problem=str(error)[:200], retry_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)

    async def _connect(self) -> AsyncConnection:
        options = connection_options(self._config, name="state-listener")
        dsn = self._config.dsn.get_secret_value()
        connection: AsyncConnection = await AsyncConnection.connect(dsn, **options)  # type: ignore[arg-type]
        return connection

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        # What was committed before is not told: everyone has to look.
        found = await connection.execute(BOTS)
        for (bot_id,) in await found.fetchall():
            self._signals.send(bot_id)
        async for heard in connection.notifies():
            origin, _, bot_id = heard.payload.partition(" ")
            if origin != self._origin:
                self._signals.send(bot_id)


class CommitNotifier:
    """Tells the other replicas of our commits, soon after them.

    Not in the commits themselves: PostgreSQL lets only one of those that notify commit at a time.
    What a crash leaves untold, the others find when they look by themselves.

    Args:
        database: Where to tell.
        origin: Who tells.
    """

    def __init__(self, database: Database, *, origin: str) -> None:
        self._database = database
        self._origin = origin
        self._untold: set[str] = set()
        self._wake = asyncio.Event()

    def tell(self, bot_id: str) -> None:
        """Have it told that this bot's grid was changed."""
        self._untold.add(bot_id)
        self._wake.set()

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            bots, self._untold = sorted(self._untold), set()
            try:
                async with self._database.session() as session:
                    await session.execute(NOTIFY, ([notice(self._origin, b) for b in bots],))
            except DependencyError as error:
                _log.warning("commits_not_told", bots=len(bots), problem=str(error))
