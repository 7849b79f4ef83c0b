"""Queries: rows by the names of their columns, each query in a session of its own."""

from typing import Any

from psycopg.rows import dict_row

from opensqt.adapters.postgres import statements
from opensqt.adapters.postgres.pool import Database
from opensqt.core.grid.refusals import bot_unknown


class Queries:
    """Reads rows.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, statement: str, values: Any) -> list[dict[str, Any]]:
        """Every row."""
        async with self._database.session() as session, session.cursor(row_factory=dict_row) as c:
            await c.execute(statement, values)
            return await c.fetchall()

    async def one(self, statement: str, values: Any) -> dict[str, Any] | None:
        """The first row; None when there is none."""
        found = await self.all(statement, values)
        return found[0] if found else None

    async def all_of(self, bot_id: str, statement: str, values: Any) -> list[dict[str, Any]]:
        """Every row of a bot.

        Raises:
            Refusal: BOT_UNKNOWN; that there are no rows may mean that there is no such bot.
        """
        found = await self.all(statement, values)
        if not found and await self.one(statements.REVISION, (bot_id,)) is None:
            raise bot_unknown(bot_id)
        return found

    async def run(self, statement: str, values: Any) -> None:
        """Run a statement that answers with no rows."""
        async with self._database.session() as session:
            await session.execute(statement, values)
