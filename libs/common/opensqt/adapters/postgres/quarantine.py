"""The quarantine: orders that are of no grid, or contradict its book; of each the last word."""

from typing import Final

from psycopg.types.numeric import Int8

from opensqt.adapters.postgres import statements
from opensqt.adapters.postgres.queries import Queries
from opensqt.adapters.postgres.reading import quarantined_of
from opensqt.core.events import OrderUpdate
from opensqt.ports import Quarantined
from opensqt.wire.events import encode_order_update

QUARANTINED_MAX: Final = 10_000
"""Orders that stay put aside. One that is forgotten and still there is put aside anew."""


class Quarantine:
    """Keeps what was put aside.

    Args:
        queries: To the ledger's database.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def put(self, update: OrderUpdate, reason: str, *, now_ns: int) -> None:
        """Put an update aside."""
        values = {
            **_order_named(update),
            "reason": reason,
            "noted_ns": now_ns,
            "payload": encode_order_update(update).SerializeToString(),
        }
        await self._queries.run(statements.QUARANTINE, values)

    async def reason(self, update: OrderUpdate) -> str | None:
        """Why the order of `update` was put aside last; None if it never was."""
        row = await self._queries.one(statements.QUARANTINE_REASON, _order_named(update))
        return None if row is None else str(row["reason"])

    async def listed(self, *, limit: int, before: int) -> tuple[tuple[int, Quarantined], ...]:
        """What was put aside below the row `before`, with row numbers, newest first."""
        values = {"limit": limit, "before": Int8(before)}
        found = await self._queries.all(statements.QUARANTINED, values)
        return tuple((row["seq"], quarantined_of(row)) for row in found)


def _order_named(update: OrderUpdate) -> dict[str, str]:
    """What an order goes by that is put aside: it may lack one of its ids."""
    return {
        "account": update.account,
        "symbol": update.symbol,
        "exchange_order_id": update.exchange_order_id,
        "client_oid": update.client_oid,
    }
