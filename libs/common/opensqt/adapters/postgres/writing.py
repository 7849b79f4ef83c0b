"""Writing a change: one statement, and what goes into it."""

from psycopg import AsyncConnection
from psycopg.types.numeric import Int8

from opensqt.adapters.postgres import rows, statements
from opensqt.core.grid.book import GridChange
from opensqt.wire.state import encode_change


async def write_change(session: AsyncConnection, change: GridChange) -> bool:
    """Write a change; False when the book is at another revision than it builds on.

    Args:
        session: In autocommit mode the change is committed by this very statement.
        change: What to write.

    Raises:
        psycopg.errors.UniqueViolation: The batch, its request or an execution is stored already.
    """
    totals = change.totals
    statement = statements.COMMIT[change.batch is not None, bool(change.executions)]
    # Int8: psycopg would send the smallest type that fits, and prepare one statement for each.
    answer = await session.execute(
        statement,
        {
            "bot_id": change.bot_id,
            "revision": Int8(change.revision),
            "realised_pnl": totals.realised_pnl,
            "fees": totals.fees,
            "fills": Int8(totals.fills),
            "buys": Int8(totals.buys),
            "sells": Int8(totals.sells),
            "orders": Int8(totals.orders),
            "fees_unknown": Int8(totals.fees_unknown),
            "standing": change.standing.value,
            "standing_reason": change.standing_reason,
            "payload": encode_change(change).SerializeToString(),
            "batches": rows.as_json(rows.batch_rows(change)),
            "order_rows": rows.as_json(rows.order_row(order) for order in change.orders),
            "slot_rows": rows.as_json(rows.slot_row(change.bot_id, slot) for slot in change.slots),
            "execution_rows": rows.as_json(
                rows.execution_row(change.bot_id, execution) for execution in change.executions
            ),
        },
    )
    return await answer.fetchone() is not None
