"""Reading books and changes."""

from dataclasses import replace

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from opensqt.adapters.postgres import rows, statements
from opensqt.core.errors import Refusal
from opensqt.core.grid.book import GridBook, GridChange, Standing
from opensqt.core.grid.invariants import book_problem
from opensqt.market_maker.v1 import events_pb2, state_pb2
from opensqt.ports import DependencyError, Quarantined, Wanted
from opensqt.wire.events import decode_order_update
from opensqt.wire.state import decode_change


async def revision_of(session: AsyncConnection, bot_id: str) -> int | None:
    """The revision of a grid; None when there is no such grid."""
    row = await (await session.execute(statements.REVISION, (bot_id,))).fetchone()
    return None if row is None else int(row[0])


async def read_book(
    session: AsyncConnection, bot_id: str, grid_statement: str, wanted: Wanted
) -> GridBook | None:
    """A book; None when there is no such grid.

    Args:
        session: In a transaction, for the parts to belong together.
        bot_id: The bot.
        grid_statement: Reads the grid's own row, and locks it or not.
        wanted: What is needed beside slots and live orders.
    """
    async with session.cursor(row_factory=dict_row) as cursor:
        grid = await (await cursor.execute(grid_statement, (bot_id,))).fetchone()
        if grid is None:
            return None
        batches = {}
        if wanted.batch_id or wanted.request_id:
            await cursor.execute(
                statements.BATCHES,
                {
                    "bot_id": bot_id,
                    "batch_id": wanted.batch_id,
                    "request_id": wanted.request_id,
                },
            )
            batches = {row["batch_id"]: rows.batch_of(row) for row in await cursor.fetchall()}
        ids = {oid for batch in batches.values() for oid in (*batch.placed, *batch.canceled)}
        await cursor.execute(
            statements.ORDERS_OF_BOOK,
            {"bot_id": bot_id, "order_ids": sorted(ids.union(wanted.order_ids))},
        )
        orders = {row["client_oid"]: rows.order_of(row) for row in await cursor.fetchall()}
        await cursor.execute(statements.SLOTS, (bot_id,))
        slots = {row["price"]: rows.slot_of(row, orders) for row in await cursor.fetchall()}
    book = replace(empty_book(grid), slots=slots, orders=orders, batches=batches)
    problem = book_problem(book)
    assert not problem, f"{bot_id} is damaged: {problem}"
    return book


def empty_book(row: rows.Row) -> GridBook:
    """The book of a grid's own row, without slots and orders."""
    return GridBook(
        identity=rows.identity_of(row),
        revision=row["revision"],
        totals=rows.totals_of(row),
        standing=Standing(row["standing"]),
        standing_reason=row["standing_reason"],
    )


def change_of(payload: bytes) -> GridChange:
    """A change as it was stored.

    Raises:
        DependencyError: It cannot be read.
    """
    try:
        return decode_change(state_pb2.GridChange.FromString(payload))
    except Refusal as refusal:
        raise DependencyError(f"a stored change cannot be read: {refusal}") from refusal


def quarantined_of(row: rows.Row) -> Quarantined:
    """An order that was put aside, as it was stored.

    Raises:
        DependencyError: It cannot be read.
    """
    try:
        update = decode_order_update(events_pb2.OrderUpdate.FromString(row["payload"]))
    except Refusal as refusal:
        raise DependencyError(f"a quarantined update cannot be read: {refusal}") from refusal
    return Quarantined(
        update=update, reason=row["reason"], since_ns=row["noted_ns"], updates=row["updates"]
    )
